#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs the programs that the rack needs, by apt-get, when this is root on
# Debian or a relative of it. Says in one line what it left out, and does
# nothing when all is there.
#
#   hack/install-tools.sh            install what is missing; never fails
#   hack/install-tools.sh --missing  install nothing; fail and say why when the
#                                    rack cannot run
set -u

# missing prints the packages whose programs are not there.
missing() {
	PATH=$PATH:/usr/sbin:/sbin:/usr/lib/frr
	while read -r program package; do
		command -v "$program" >/dev/null 2>&1 || printf '%s ' "$package"
	done <<-'LIST'
		bgpd frr
		bird bird2
		ip iproute2
		nft nftables
		iptables iptables
		conntrack conntrack
		curl curl
	LIST
}

# may says why this cannot use namespaces or install packages, if it cannot.
may() {
	[ "$(uname -s)" = Linux ] || { echo "this is not Linux"; return 1; }
	[ "$(id -u)" = 0 ] || { echo "this is not root"; return 1; }
}

# install installs packages without starting the services that they bring: the
# routers of the rack run in its own namespaces.
install() {
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
		trap 'rm -f "$policy"' EXIT
		trap 'exit 1' HUP INT TERM
	fi
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # one word a package
	apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $1 </dev/null >"$2" 2>&1
}

packages=$(missing)
[ -n "$packages" ] && packages=${packages% }
if [ "${1:-}" = --missing ]; then
	may || exit 1
	[ -z "$packages" ] || { echo "not installed: $packages"; exit 1; }
	exit 0
fi

[ -n "$packages" ] || exit 0
if ! why=$(may); then
	echo "install-tools: left out $packages: $why"
elif ! command -v apt-get >/dev/null 2>&1; then
	echo "install-tools: left out $packages: there is no apt-get"
else
	echo "install-tools: installing $packages"
	log=$(mktemp)
	install "$packages" "$log" || { apt-get -q update </dev/null >>"$log" 2>&1; install "$packages" "$log"; }
	left=$(missing)
	[ -z "$left" ] || echo "install-tools: left out ${left% }: apt-get said: $(grep -m 1 '^E:' "$log" || tail -n 1 "$log")"
	rm -f "$log"
fi
exit 0

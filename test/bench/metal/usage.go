// SPDX-License-Identifier: Apache-2.0

//go:build linux

package metal

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the kernel's USER_HZ: proc(5), sysconf(_SC_CLK_TCK) on Linux.
const clockTick = 10 * time.Millisecond

// usage is what a process uses.
type usage struct {
	cpu time.Duration
	// resident is its memory now, peak the most since it started, in bytes.
	resident, peak int64
}

// usageOf reads the kernel's counters of a process.
func usageOf(pid int) (usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, err
	}
	// Fields after the name, which is in parentheses: proc_pid_stat(5).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const utime, stime = 11, 12
	var u usage
	for _, f := range []int{utime, stime} {
		n, err := strconv.ParseInt(fields[f], 10, 64)
		if err != nil {
			return usage{}, err
		}
		u.cpu += time.Duration(n) * clockTick
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return usage{}, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			u.resident = kib << 10
		case "VmHWM":
			u.peak = kib << 10
		}
	}
	return u, nil
}

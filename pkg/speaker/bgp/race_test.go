// SPDX-License-Identifier: Apache-2.0

//go:build race

package bgp_test

// raceEnabled is whether the race detector watches.
const raceEnabled = true

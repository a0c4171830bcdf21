// SPDX-License-Identifier: Apache-2.0

//go:build race

package rig_test

// slower is how many times fewer trials the short form makes: the race detector
// makes each about five times as long.
const slower = 8

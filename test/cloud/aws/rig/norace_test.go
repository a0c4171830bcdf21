// SPDX-License-Identifier: Apache-2.0

//go:build !race

package rig_test

// slower is how many times fewer trials the short form makes.
const slower = 1

// SPDX-License-Identifier: Apache-2.0

//go:build !race

package harness

// Slower is how many times fewer trials the short form makes, and how many times
// as long they may take.
const Slower = 1

// SPDX-License-Identifier: Apache-2.0

package intent

import "strings"

// celString is a CEL string literal.
func celString(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(s) + "'"
}

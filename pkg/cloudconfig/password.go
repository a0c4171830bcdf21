// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"bytes"
	"errors"
	"fmt"
)

const (
	// redacted is what stands for a secret.
	redacted = "[redacted]"
	// maxPassword is the longest TCP MD5 key that Linux takes, in bytes:
	// TCP_MD5SIG_MAXKEYLEN of linux/tcp.h.
	maxPassword = 80
	lengthCure  = "write 1 to 80 bytes"
)

// ParsePassword reads the contents of a password file or of a Secret's key:
// without the newlines at its end, 1 to 80 bytes. The error holds no part of
// it.
func ParsePassword(contents []byte) (Secret, error) {
	s := string(bytes.TrimRight(contents, "\r\n"))
	if reason := badPassword(s); reason != "" {
		return "", errors.New(reason + "; " + lengthCure)
	}
	return Secret(s), nil
}

// badPassword says what is wrong with a password, if anything.
func badPassword(s string) string {
	switch {
	case s == "":
		return "the password is empty"
	case len(s) > maxPassword:
		return fmt.Sprintf("the password has %d bytes", len(s))
	case bytes.IndexByte([]byte(s), 0) >= 0:
		return "the password holds a zero byte"
	}
	return ""
}

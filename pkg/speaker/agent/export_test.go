// SPDX-License-Identifier: Apache-2.0

package agent

// StatusError is the error of a probe that got an answer other than 200.
func StatusError(status string) error { return &statusError{url: "http://test/", status: status} }

// SPDX-License-Identifier: Apache-2.0

// Package azuresim is a simulator of Azure Resource Manager: the part of it
// that a cloud controller speaks to, over the same wire protocol, so that the
// real Azure SDK for Go works against it unchanged.
//
// It keeps every resource as the JSON document that a GET answers, fields that
// it does not know included, and it refuses what Azure refuses: stale etags,
// references to what is not there, names and ports used twice, what passes a
// limit, changes of what cannot be changed. The rules stand beside the types
// they belong to, in files of their names.
//
//	cloud, err := azuresim.New(azuresim.Options{Latency: azuresim.BenchmarkLatencies()})
//	err = cloud.Seed(resources)             // documents as a GET answers them
//	server := cloud.Start()                 // on loopback
//	defer server.Close()
//	// resourceManagerEndpoint: server.URL; IDENTITY_ENDPOINT: server.URL + "/token"
//
// With no latency set, a write is done when it is answered. With latency, a
// write is visible at once in state Updating or Deleting, and becomes Succeeded,
// or gone, when its time is over; the answer is held back or names an operation
// to poll, as the type does in Azure.
//
// Calls counts what was asked. SetFault refuses or cuts chosen calls, and SetHook runs
// code before and after each write is committed. State and Normalise compare
// the ends of two runs.
package azuresim

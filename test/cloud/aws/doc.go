// SPDX-License-Identifier: Apache-2.0

// Package awssim is a simulator of EC2, Elastic Load Balancing (both APIs), STS
// and the instance metadata: the part of them that a cloud controller speaks
// to, over the same wire protocols, so that the real AWS SDK for Go works
// against it unchanged. One endpoint serves them all.
//
// It keeps every object as the describe calls answer it, and it refuses what AWS
// refuses: names used twice, references to what is not there, what is still in
// use, what passes a limit, changes of what cannot be changed, and parameters
// that it does not know.
//
//	cloud := awssim.New(awssim.Options{Latency: awssim.BenchmarkLatencies()})
//	site := cloud.NewSite(awssim.SiteOptions{})
//	nodes := site.Launch(10)                // or cloud.Seed(state)
//	server := cloud.Start()                 // on loopback
//	defer server.Close()
//	// BaseEndpoint of every client: server.URL; any static credentials.
//
// With no latency and no timing set, everything is done when it is answered.
// Options add latency by action, lag of reads, time until load balancers are
// active and targets healthy, interfaces that linger, token buckets and quotas.
// Advance lets that time pass at once.
//
// A target is healthy when the rules of its security groups let the checks of
// its load balancer in, and SetHealth does not say otherwise.
//
// Calls counts what was asked. SetFault refuses or cuts chosen calls, and SetHook
// runs code before and after each write is committed. State and Normalise
// compare the ends of two runs.
package awssim

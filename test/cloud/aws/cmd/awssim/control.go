// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	awssim "github.com/fairlead/fairlead/test/cloud/aws" //nolint:depguard // this command is no part of the product
)

// handler is the cloud, and beside it what somebody who watches may ask, below
// /simulator/: no path of AWS begins so.
func handler(cloud *awssim.Cloud, site *awssim.Site) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", cloud)
	mux.HandleFunc("GET /simulator/calls", func(w http.ResponseWriter, _ *http.Request) { answer(w, cloud.Calls()) })
	mux.HandleFunc("GET /simulator/writes", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, slices.DeleteFunc(cloud.Calls(), func(c awssim.Call) bool { return c.Kind != awssim.Write }))
	})
	mux.HandleFunc("GET /simulator/site", func(w http.ResponseWriter, _ *http.Request) { answer(w, site) })
	mux.HandleFunc("GET /simulator/state", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, json.RawMessage(cloud.State()))
	})
	mux.HandleFunc("POST /simulator/launch", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("n"))
		if err != nil || n < 1 || site == nil {
			http.Error(w, "n must be a number from 1, and the site must be a new one", http.StatusBadRequest)
			return
		}
		answer(w, site.Launch(n))
	})
	mux.HandleFunc("POST /simulator/power", func(w http.ResponseWriter, r *http.Request) {
		if err := cloud.SetPower(r.FormValue("id"), r.FormValue("state")); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("POST /simulator/apply", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := cloud.Apply(r.URL.Query().Get("api"), r.PostForm); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	return mux
}

// answer writes a value as JSON.
func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // a client that has gone away is no reason to stop
}

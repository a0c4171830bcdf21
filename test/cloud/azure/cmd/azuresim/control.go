// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure" //nolint:depguard // this command is no part of the product
)

// handler is the cloud, and beside it what somebody who watches may ask, below
// /simulator/: no path of Azure begins so.
func handler(cloud *azuresim.Cloud) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", cloud)
	mux.HandleFunc("GET /simulator/writes", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, slices.DeleteFunc(cloud.Calls(), func(c azuresim.Call) bool { return c.Kind != azuresim.Write }))
	})
	mux.HandleFunc("GET /simulator/resources", func(w http.ResponseWriter, _ *http.Request) { answer(w, cloud.State()) })
	mux.HandleFunc("POST /simulator/scale", func(w http.ResponseWriter, r *http.Request) {
		capacity, err := strconv.Atoi(r.FormValue("capacity"))
		if err == nil {
			err = cloud.Scale(r.FormValue("set"), capacity)
		}
		if err != nil {
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

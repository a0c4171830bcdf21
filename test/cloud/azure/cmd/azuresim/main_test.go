// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestServesASeedAndWritesItsState(t *testing.T) {
	const seed = "../../testdata/vmss-ip.all.json"
	state := filepath.Join(t.TempDir(), "state.json")
	out, in := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, []string{"--listen=127.0.0.1:0", "--seed=" + seed, "--state=" + state}, in) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metadata/endpoints?api-version=2019-05-01", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("status %d, %v", answer.StatusCode, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want, err := load(seed)
	if err != nil {
		t.Fatal(err)
	}
	got, err := load(state)
	if err != nil || len(got) != len(want) {
		t.Errorf("%d resources were written, want %d: %v", len(got), len(want), err)
	}
}

func TestRefusesWhatItCannotRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seed.json")
	if err := os.WriteFile(file, []byte(`{"state": {}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--seed=" + file}, {"--seed=/nonexistent"}, {"--nodes=many"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package cloudconfig_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

// roundTrip writes a config and reads it again.
func roundTrip(t *testing.T, c *cloudconfig.Config) {
	t.Helper()
	out, err := cloudconfig.MarshalWithSecrets(c)
	if err != nil {
		t.Fatalf("cannot be written: %v", err)
	}
	again, err := cloudconfig.Parse(out)
	if err != nil {
		t.Fatalf("cannot be read again: %v\n%s", err, out)
	}
	if bad := again.Faults.Errors(); len(bad) > 0 {
		t.Fatalf("has faults when read again:\n%s\n%s", bad, out)
	}
	if c.Drift != again.Drift || !reflect.DeepEqual(c.Metal, again.Metal) || !reflect.DeepEqual(c.Azure, again.Azure) || !reflect.DeepEqual(c.AWS, again.AWS) {
		t.Fatalf("differs when read again:\n%s\nwant %+v %+v\n got %+v %+v", out, c.Metal, c.Azure, again.Metal, again.Azure)
	}
}

// seeds are all inputs of the other tests.
func seeds(t testing.TB) [][]byte {
	t.Helper()
	var out [][]byte
	for _, pattern := range []string{"testdata/*/*.yaml", "testdata/*/*.conf", "../../docs/examples/*.yaml", "../../docs/examples/*.conf"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(filepath.Clean(file))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, data)
		}
	}
	return out
}

func TestWhatIsWrittenReadsTheSame(t *testing.T) {
	checked := 0
	for _, data := range seeds(t) {
		c, err := cloudconfig.Parse(data)
		if err != nil || len(c.Faults.Errors()) > 0 {
			continue
		}
		checked++
		roundTrip(t, c)
	}
	if checked < 4 {
		t.Errorf("only %d good files were checked", checked)
	}
}

func FuzzParse(f *testing.F) {
	for _, data := range seeds(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := cloudconfig.Parse(data)
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Error("an error without a word")
			}
			return
		}
		line := 0
		for _, fault := range c.Faults {
			if fault.Reason == "" || fault.Line < line {
				t.Errorf("a fault without a reason or out of order: %+v", fault)
			}
			line = fault.Line
		}
		if len(c.Faults.Errors()) == 0 {
			roundTrip(t, c)
		}
		if kept := cloudconfig.Keep(c, c); !reflect.DeepEqual(kept, c) {
			t.Errorf("a config kept from itself differs: %+v", kept)
		}
	})
}

func TestMarshalHidesPasswords(t *testing.T) {
	c := parse(t, header+`
metal:
  peers:
  - {name: tor, myASN: 64512, peerASN: 64513, address: 192.0.2.1, password: hush}
`)
	out, err := cloudconfig.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "hush") || !strings.Contains(string(out), "[redacted]") {
		t.Errorf("the password shows or is not marked:\n%s", out)
	}
	again := parse(t, string(out))
	if len(again.Metal.Peers) != 0 || len(again.Faults.Errors()) != 1 {
		t.Errorf("a hidden password was taken for a real one: %+v", again.Metal.Peers)
	}
}

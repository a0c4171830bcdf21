// SPDX-License-Identifier: Apache-2.0

package speaker_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestRoutes holds the routes and reasons of whole clusters against files.
func TestRoutes(t *testing.T) {
	files, err := filepath.Glob("testdata/routes/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == "routes.txt" })
			got := tell(t, a)
			if *update {
				a.Files[at].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := gocmp.Diff(string(a.Files[at].Data), got); diff != "" {
				t.Errorf("(-want +got), -update rewrites it:\n%s", diff)
			}
		})
	}
}

// objects are the objects of a case.
type objects struct {
	nodes []*v1.Node
	svcs  []*v1.Service
	eps   []*discoveryv1.EndpointSlice
}

// tell is what every node of a case announces and what not.
func tell(t *testing.T, a *txtar.Archive) string {
	t.Helper()
	var cfg *cloudconfig.Config
	var obj objects
	for _, f := range a.Files {
		var err error
		switch f.Name {
		case "config.yaml":
			cfg, err = cloudconfig.Parse(f.Data)
		case "objects.yaml":
			obj, err = decode(f.Data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(cfg.Faults) > 0 {
		t.Fatal(cfg.Faults)
	}
	var b strings.Builder
	for _, n := range obj.nodes {
		v := speaker.NewView(speaker.Facts{
			Node: speaker.NodeFrom(n.Name, n), Phase: speaker.Serving, Metal: cfg.Metal, Unclassed: speaker.UnclassedOurs,
		})
		decisions, table := decideAll(v, obj)
		fmt.Fprintf(&b, "%s\n", n.Name)
		for _, p := range v.Peers() {
			for _, r := range table.Routes(p.Name) {
				fmt.Fprintf(&b, "  %s: %s\n", p.Name, r)
			}
		}
		for _, k := range slices.SortedFunc(maps.Keys(decisions), compareKeys) {
			for _, w := range decisions[k].Withheld {
				fmt.Fprintf(&b, "  not %s %s %s: %s: %s\n", k, w.Addr, w.Peer, w.Reason, w.Message)
			}
		}
	}
	return b.String()
}

// decideAll decides about all Services, and joins what they come to.
func decideAll(v *speaker.View, obj objects) (map[types.NamespacedName]speaker.Decision, *speaker.Table) {
	of := map[types.NamespacedName][]*discoveryv1.EndpointSlice{}
	for _, s := range obj.eps {
		key := speaker.ServiceOf(s)
		of[key] = append(of[key], s)
	}
	decisions, table := map[types.NamespacedName]speaker.Decision{}, speaker.NewTable()
	for _, svc := range obj.svcs {
		key := types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name}
		decisions[key] = speaker.Decide(v, svc, of[key])
		table.Apply(key, decisions[key].Paths)
	}
	return decisions, table
}

func compareKeys(a, b types.NamespacedName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

func decode(data []byte) (objects, error) {
	var out objects
	for doc := range bytes.SplitSeq(data, []byte("\n---\n")) {
		var head struct{ Kind string }
		if err := yaml.Unmarshal(doc, &head); err != nil {
			return out, err
		}
		var err error
		switch head.Kind {
		case "Node":
			n := &v1.Node{}
			err = yaml.UnmarshalStrict(doc, n)
			out.nodes = append(out.nodes, n)
		case "Service":
			s := &v1.Service{}
			err = yaml.UnmarshalStrict(doc, s)
			out.svcs = append(out.svcs, s)
		case "EndpointSlice":
			s := &discoveryv1.EndpointSlice{}
			err = yaml.UnmarshalStrict(doc, s)
			out.eps = append(out.eps, s)
		default:
			err = fmt.Errorf("kind %q is not known here", head.Kind)
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

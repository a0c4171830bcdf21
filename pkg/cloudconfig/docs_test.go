// SPDX-License-Identifier: Apache-2.0

package cloudconfig_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

const docs = "../../docs"

func readDoc(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(docs, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestExampleOfTheDocsIsTheExampleFileAndGood(t *testing.T) {
	_, rest, found := strings.Cut(readDoc(t, "config.md"), "```yaml\n")
	example, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("config.md has no example")
	}
	if diff := cmp.Diff(readDoc(t, "examples/metal.yaml"), example); diff != "" {
		t.Errorf("config.md and examples/metal.yaml differ (-file +docs):\n%s", diff)
	}
	c := good(t, example)
	if got, want := namesOf(c.Metal), "pools public team-blue, peers tor-a tor-b, advertisements hosts blue-block"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(c.Metal.Zones) != 2 {
		t.Errorf("got %d zones", len(c.Metal.Zones))
	}
}

// TestEveryKeyIsInTheDocsAndInTheExample asks the reader itself for its keys:
// the fault of an unknown key lists them.
func TestEveryKeyIsInTheDocsAndInTheExample(t *testing.T) {
	c := parse(t, header+`
qqqqq: 1
drift: {qqqqq: 1}
metal:
  qqqqq: 1
  pools: [{qqqqq: 1, serviceSelectors: [{qqqqq: 1, matchExpressions: [{qqqqq: 1}]}]}]
  peers: [{qqqqq: 1, passwordSecret: {qqqqq: 1}, gracefulRestart: {qqqqq: 1}}]
  advertisements: [{qqqqq: 1}]
  zones: [{qqqqq: 1}]
  speaker: {qqqqq: 1}
`)
	page, example := readDoc(t, "config.md"), readDoc(t, "examples/metal.yaml")
	lists := 0
	for _, f := range c.Faults {
		allowed, isList := strings.CutPrefix(f.Cure, "allowed are ")
		if !isList || !strings.HasSuffix(f.Field, "qqqqq") {
			continue
		}
		lists++
		for _, key := range regexp.MustCompile(`, | and `).Split(allowed, -1) {
			if !strings.Contains(page, "\n| `"+key+"` |") {
				t.Errorf("config.md has no row for %s (%s)", key, f.Field)
			}
			if key != "password" && key != "azure" && key != "aws" && !regexp.MustCompile(`\b`+key+`:`).MatchString(example) {
				t.Errorf("the example has no %s (%s)", key, f.Field)
			}
		}
	}
	if lists != 12 {
		t.Errorf("the reader listed the keys of %d mappings, want 12:\n%s", lists, c.Faults)
	}
}

func TestEveryFaultInTheDocsLooksLikeThat(t *testing.T) {
	text := strings.ReplaceAll(readDoc(t, "examples/metal.yaml"), "holdTime: 30s", "holdTime: 2s")
	text = strings.ReplaceAll(text, "pools: [public]", "pools: [publik]")
	page := readDoc(t, "config.md")
	faults := parse(t, text).Faults.Errors()
	if len(faults) != 2 {
		t.Fatalf("got\n%s", faults)
	}
	for _, f := range faults {
		if !strings.Contains(page, f.Error()) {
			t.Errorf("config.md does not show %s", f.Error())
		}
	}
}

func TestAzureExampleIsGood(t *testing.T) {
	c := good(t, readDoc(t, "examples/azure.yaml"))
	if c.Azure == nil || len(c.Azure.LoadBalancers) != 2 {
		t.Errorf("got %+v", c.Azure)
	}
}

// TestEveryKeyOfAzureIsInTheDocs asks the reader itself for its keys.
func TestEveryKeyOfAzureIsInTheDocs(t *testing.T) {
	_, err := cloudconfig.Parse([]byte(header + `
azure:
  qqqqq: 1
  multipleStandardLoadBalancerConfigurations: [{qqqqq: 1}]
`))
	var unusable *cloudconfig.FileError
	if !errors.As(err, &unusable) {
		t.Fatal(err)
	}
	page := readDoc(t, "config.md")
	_, section, _ := strings.Cut(page, "### azure\n")
	lists := 0
	for _, f := range unusable.Faults {
		allowed, isList := strings.CutPrefix(f.Cure, "allowed are ")
		if !isList || !strings.HasSuffix(f.Field, "qqqqq") {
			continue
		}
		lists++
		for _, key := range regexp.MustCompile(`, | and `).Split(allowed, -1) {
			client, isRate := strings.CutSuffix(key, "RateLimit")
			known := strings.Contains(section, "`"+key+"`") || (isRate && strings.Contains(section, "`"+client+"`"))
			if !known && key != "activeServices" && key != "activeNodes" {
				t.Errorf("config.md has no row for %s (%s)", key, f.Field)
			}
		}
	}
	if lists != 2 {
		t.Errorf("the reader listed the keys of %d mappings, want 2:\n%s", lists, unusable.Faults)
	}
}

func TestAWSExamplesAreGood(t *testing.T) {
	own, peers := good(t, readDoc(t, "examples/aws.yaml")), good(t, readDoc(t, "examples/aws.conf"))
	if own.AWS == nil || !own.AWS.Controller.Claim || peers.AWS == nil || len(peers.AWS.Overrides) != 1 {
		t.Errorf("got %+v and %+v", own.AWS, peers.AWS)
	}
}

// TestEveryKeyOfAWSIsInTheDocs asks the reader itself for its keys.
func TestEveryKeyOfAWSIsInTheDocs(t *testing.T) {
	_, err := cloudconfig.Parse([]byte(header + `
aws:
  qqqqq: 1
  serviceOverrides: [{qqqqq: 1}]
  endpoints: {qqqqq: 1}
  loadBalancerController: {qqqqq: 1}
`))
	var unusable *cloudconfig.FileError
	if !errors.As(err, &unusable) {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(readDoc(t, "config.md"), "### aws\n")
	lists := 0
	for _, f := range unusable.Faults {
		allowed, isList := strings.CutPrefix(f.Cure, "allowed are ")
		if !isList || !strings.HasSuffix(f.Field, "qqqqq") {
			continue
		}
		lists++
		for _, key := range regexp.MustCompile(`, | and `).Split(allowed, -1) {
			if !strings.Contains(section, "`"+key+"`") {
				t.Errorf("config.md has no row for %s (%s)", key, f.Field)
			}
		}
	}
	if lists != 4 {
		t.Errorf("the reader listed the keys of %d mappings, want 4:\n%s", lists, unusable.Faults)
	}
}

// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/fairlead/fairlead/pkg/intent"
)

// judge evaluates an admission policy with the API server's CEL environment.
type judge struct {
	variables []program
	policy    *admissionregistrationv1.ValidatingAdmissionPolicy
}

type program struct {
	name string
	prog cel.Program
}

func newJudge(tb testing.TB, policy *admissionregistrationv1.ValidatingAdmissionPolicy) *judge {
	tb.Helper()
	env, err := environment.MustBaseEnvSet(version.MajorMinor(1, 30)).Extend(environment.VersionedOptions{
		IntroducedVersion: version.MajorMinor(1, 0),
		EnvOptions: []cel.EnvOption{
			cel.Variable("object", cel.DynType),
			cel.Variable("oldObject", cel.DynType),
			cel.Variable("variables", cel.MapType(cel.StringType, cel.DynType)),
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	j := &judge{policy: policy}
	for _, v := range policy.Spec.Variables {
		ast, iss := env.NewExpressionsEnv().Compile(v.Expression)
		if iss.Err() != nil {
			tb.Fatalf("%s: %v", v.Name, iss.Err())
		}
		prog, err := env.NewExpressionsEnv().Program(ast)
		if err != nil {
			tb.Fatal(err)
		}
		j.variables = append(j.variables, program{v.Name, prog})
	}
	return j
}

// problems are the sentences about a request that makes svc of old, which may
// be nil, and the highest cost of an expression.
func (j *judge) problems(tb testing.TB, svc, old *v1.Service) (sentences []string, cost uint64) {
	tb.Helper()
	variables := map[string]any{}
	input := map[string]any{"object": object(tb, svc), "oldObject": object(tb, old), "variables": variables}
	for _, v := range j.variables {
		out, details, err := v.prog.Eval(input)
		if err != nil {
			tb.Fatalf("variable %s: %v", v.name, err)
		}
		cost = max(cost, *details.ActualCost())
		variables[v.name] = out
		if v.name != "problems" {
			continue
		}
		native, err := out.ConvertToNative(reflect.TypeFor[[]string]())
		if err != nil {
			tb.Fatal(err)
		}
		var ok bool
		if sentences, ok = native.([]string); !ok {
			tb.Fatalf("problems are %T", native)
		}
	}
	slices.Sort(sentences)
	return slices.Clip(append([]string(nil), sentences...)), cost
}

func object(tb testing.TB, svc *v1.Service) any {
	tb.Helper()
	if svc == nil {
		return nil
	}
	o, err := runtime.DefaultUnstructuredConverter.ToUnstructured(svc)
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

// refused are the sentences of the parser that the policy gives too: a key
// that MetalLB passes over is a warning where it stands already.
func refused(svc *v1.Service, provider string, reg *intent.Registry) []string {
	_, problems := intent.New(svc, provider, reg)
	var sentences []string
	for _, p := range problems {
		if p.Reason == intent.ReasonUnknownAnnotation ||
			p.Reason == intent.ReasonInvalidAnnotation && p.Severity == intent.Refuse {
			sentences = append(sentences, p.Sentence)
		}
	}
	slices.Sort(sentences)
	return sentences
}

// everyKind is a registry with an annotation of each kind.
func everyKind(tb testing.TB) *intent.Registry {
	tb.Helper()
	reg, err := intent.NewRegistry(
		[]intent.Prefix{{Name: "test.io/", Unknown: intent.Refuse}},
		intent.Table{Title: "Test", Annotations: []intent.Annotation{
			{Key: "test.io/bool", Kind: intent.Bool{}, Default: "false"},
			{Key: "test.io/lenient-bool", Kind: intent.Bool{}, Invalid: intent.Warn, InvalidMeans: "false"},
			{Key: "test.io/int", Kind: intent.Int{Min: 4, Max: 100, Unit: "minutes"}, Default: "4"},
			{Key: "test.io/negative", Kind: intent.Int{Min: -5, Max: 5}},
			{Key: "test.io/enum", Kind: intent.Enum{Values: []string{"HTTP", "HTTPS", "it's"}}},
			{Key: "test.io/text", Kind: intent.Text{Max: 5, Example: `a"b`}},
			{Key: "test.io/clearable", Kind: intent.Text{Max: 5}, Empty: intent.EmptyValue},
			{Key: "test.io/address", Kind: intent.Address{}},
			{Key: "test.io/v6", Kind: intent.Address{Family: intent.V6}},
			{Key: "test.io/range", Kind: intent.CIDR{}},
			{Key: "test.io/one-each", Kind: intent.OnePerFamily{}, Aliases: []intent.Alias{{Key: "test.io/oneEach"}}},
			{Key: "test.io/v4s", Kind: intent.List{Item: intent.Address{Family: intent.V4}, Items: "addresses", Sep: intent.Space, Max: 3}},
			{Key: "test.io/ranges", Kind: intent.List{Item: intent.CIDR{}, Items: "IP ranges", Sep: intent.Comma, Max: 3}},
			{Key: "test.io/blank-ranges", Kind: intent.List{Item: intent.CIDR{}, Items: "IP ranges", Sep: intent.Comma, Max: 3}, Empty: intent.BlankUnset},
			{Key: "test.io/names", Kind: intent.List{Item: intent.Text{Max: 63, Example: "web"}, Items: "names", Sep: intent.Comma, Max: 3}},
			{Key: "test.io/pairs", Kind: intent.Pairs{Max: 3}},
			{Key: "test.io/bare-pairs", Kind: intent.Pairs{Max: 3, Bare: true}},
			{Key: "test.io/exact-bool", Kind: intent.ExactBool{}},
			{Key: "test.io/loose-bool", Kind: intent.LooseBool{}},
			{Key: "test.io/exact-enum", Kind: intent.Enum{Values: []string{"web", "it's"}, Exact: true}},
			{Key: "test.io/only", Kind: intent.Enum{Values: []string{"*"}, Exact: true}},
			{Key: "test.io/port-*-off", Kind: intent.Bool{}},
			{Key: "test.io/seen", Kind: intent.Written{}},
			{Key: "test.io/azure-name", Kind: intent.AzureName{Example: "web"}},
			{Key: "test.io/azure-group", Kind: intent.AzureGroupName{Example: "network"}},
		}})
	if err != nil {
		tb.Fatal(err)
	}
	return reg
}

// values are what people, and those who wish us ill, write.
func values() []string {
	return []string{
		"", " ", "*", "true", "T", "1", " false", " True\n", "falſe", "yes", "0", "4", " 100 ", "101", "-5", "+5", "4.0", "0x10", "99999999999999999999",
		"http", "HTTPS", "IT'S", "ftp", "web", "-web", "Web", strings.Repeat("a", 63), strings.Repeat("a", 64), "a\nb", `"quoted"`, `back\slash`,
		"ünïcö", "ünïcöd", "1s", "90m", "1h30m", "90m1s", "30m1h", "1.5s", "h", "s", "999999h", "1m 30s", "\u00a01s\u00a0",
		"192.0.2.1", "192.0.2.1,2001:db8::1", "2001:db8::1 , 192.0.2.1", "192.0.2.1,192.0.2.2", "192.0.2.1,", ",", "192.0.2.01", "::ffff:192.0.2.1", "fe80::1%eth0", "192.0.2.1,2001:db8::1,2001:db8::2",
		"192.0.2.1 192.0.2.2", "192.0.2.1  192.0.2.2 ", "1.1.1.1 2.2.2.2 3.3.3.3 4.4.4.4", "192.0.2.1\t192.0.2.2", "192.0.2.1" + strings.Repeat(" ", 23) + "192.0.2.2", "192.0.2.1" + strings.Repeat(" ", 24) + "192.0.2.2",
		"10.0.0.0/8", "10.1.2.3/8", "10.0.0.0/33", "10.0.0.0/08", "::/0", "10.0.0.0/8, ::/0", "::ffff:10.0.0.0/104",
		"a=b", "a=b,c=d", "a=", "=b", "a", "a=b,,c=d", "a=b=c", " =b", "a = b", "a=1,a=2", "a=1,b=2,c=3,d=4",
		"a/b", "web.", "-a_", "1.2_", "größe(1)", ".", "..", "()", strings.Repeat("x", 80), strings.Repeat("x", 81), strings.Repeat("ü", 90), strings.Repeat("ü", 91),
		strings.Repeat("x", 100), strings.Repeat(" ", 16400) + "true", "a\a\b\f\v\r\t\\\"'z",
	}
}

func TestPolicyAndParserGiveTheSameSentences(t *testing.T) {
	reg := everyKind(t)
	j := newJudge(t, reg.Policy())
	keys := []string{
		"bool", "lenient-bool", "int", "negative", "enum", "text", "clearable", "address", "v6", "range", "one-each",
		"bare-pairs", "exact-bool", "loose-bool", "exact-enum", "only", "v4s", "ranges", "blank-ranges", "names", "pairs", "port-80-off", "port--off", "port-8.0-off", "azure-name", "azure-group", "seen", "sean", "Boolean", "int-", "inte", "nit", "nu", "x", "clear_able",
	}
	for _, value := range values() {
		t.Run(fmt.Sprintf("%.40q", value), func(t *testing.T) {
			svc, alias := service(nil), annotated("test.io/oneEach", value)
			for _, key := range keys {
				svc.Annotations["test.io/"+key] = value
			}
			for _, svc := range []*v1.Service{svc, alias} {
				got, _ := j.problems(t, svc, nil)
				if diff := cmp.Diff(refused(svc, "any", reg), got); diff != "" {
					t.Errorf("-parser +policy:\n%s", diff)
				}
			}
		})
	}
}

func TestPolicyOfAllAnnotationsAgreesWithTheParser(t *testing.T) {
	reg := intent.Annotations()
	j := newJudge(t, reg.Policy())
	for _, name := range []string{"address-pool", "adress-pool", "addresspool", "pool", "loadBalancerIPs", "load-balancer-ips", "allow-share-ip", "allow-shared-ips", ""} {
		for _, prefix := range []string{"fairlead.dev/", "metallb.io/", "metallb.universe.tf/", "example.com/", "metallb.io.example/"} {
			for _, value := range []string{"192.0.2.1", "public", strings.Repeat("ü", 254), ""} {
				svc := annotated(prefix+name, value)
				got, _ := j.problems(t, svc, nil)
				if diff := cmp.Diff(refused(svc, intent.Metal, reg), got); diff != "" {
					t.Errorf("%s%s: %q: -parser +policy:\n%s", prefix, name, value, diff)
				}
			}
		}
	}
}

func TestPolicyJudgesOnlyWhatTheRequestChanges(t *testing.T) {
	j := newJudge(t, intent.Annotations().Policy())
	old := annotated("fairlead.dev/load-balancer-ips", "x", "fairlead.dev/colour", "red")
	tests := map[string]struct {
		svc  *v1.Service
		want int
	}{
		"an edit elsewhere passes": {func() *v1.Service {
			svc := old.DeepCopy()
			svc.Annotations["example.com/x"] = "y"
			svc.Spec.Ports[0].Port = 81
			return svc
		}(), 0},
		"taking it away passes":                    {annotated(), 0},
		"changing it to a bad value does not":      {annotated("fairlead.dev/load-balancer-ips", "y", "fairlead.dev/colour", "red"), 1},
		"a second one does not":                    {annotated("fairlead.dev/load-balancer-ips", "x", "metallb.io/loadBalancerIPs", "x"), 1},
		"another value of an unknown key does not": {annotated("fairlead.dev/colour", "blue"), 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, _ := j.problems(t, tt.svc, old); len(got) != tt.want {
				t.Errorf("got %q, want %d sentences", got, tt.want)
			}
		})
	}
}

// The API server gives up an expression at a cost of 1,000,000.
func TestPolicyStaysWithinTheBudgetForTheLargestValues(t *testing.T) {
	const budget = 1_000_000
	reg := everyKind(t)
	j := newJudge(t, reg.Policy())
	tests := map[string]string{ // what fills the annotation, to the length judged or to that of all annotations
		"v4s":  "1" + strings.Repeat(" ", 16_000) + "1",
		"bool": strings.Repeat(" ", 250_000), "ranges": strings.Repeat(",", 16_000), "pairs": strings.Repeat("a=b,", 4_000),
		"names": strings.Repeat("a,", 8_000), "int": strings.Repeat("9", 16_000), "one-each": strings.Repeat(",", 250_000),
		"enum":                  strings.Repeat("A", 16_000),
		strings.Repeat("k", 63): "x",
	}
	for key, value := range tests {
		if _, cost := j.problems(t, annotated("test.io/"+key, value), annotated()); cost > budget/2 {
			t.Errorf("%s of %d characters: cost %d, of %d", key, len(value), cost, budget)
		}
	}
}

func TestPolicyHoldsAsManyAnnotationsAsTheCloudsHave(t *testing.T) {
	const many = 250
	table := intent.Table{Title: "Many"}
	for i := range many {
		table.Annotations = append(table.Annotations, intent.Annotation{
			Key:     fmt.Sprintf("test.io/some-long-name-of-an-annotation-%d", i),
			Aliases: []intent.Alias{{Key: fmt.Sprintf("test.io/other-%d", i)}},
			Kind:    intent.List{Item: intent.CIDR{}, Items: "IP ranges", Sep: intent.Comma, Max: 100},
		})
	}
	reg, err := intent.NewRegistry([]intent.Prefix{{Name: "test.io/", Unknown: intent.Refuse}}, table)
	if err != nil {
		t.Fatal(err)
	}
	svc := annotated("test.io/other-249", "x", "test.io/some-long-nam-of-an-annotation-249", "y",
		"test.io/"+strings.Repeat("k", 63), "z")
	got, cost := newJudge(t, reg.Policy()).problems(t, svc, nil)
	if diff := cmp.Diff(refused(svc, "any", reg), got); diff != "" {
		t.Errorf("-parser +policy:\n%s", diff)
	}
	if cost > 1_000_000 {
		t.Errorf("cost %d", cost)
	}
}

func FuzzParserNeverPanicsAndAgreesWithThePolicy(f *testing.F) {
	for _, value := range values() {
		f.Add("int", value)
		f.Add("one-each", value)
		f.Add(value, value)
	}
	reg := everyKind(f)
	j := newJudge(f, reg.Policy())
	f.Fuzz(func(t *testing.T, name, value string) {
		svc := annotated("test.io/"+name, value)
		want := refused(svc, "any", reg)
		if !utf8.ValidString(value) || strings.ContainsFunc(name, func(r rune) bool { return r > 'z' || r < '-' }) {
			return // the API admits neither
		}
		if got, _ := j.problems(t, svc, nil); !cmp.Equal(want, got) {
			t.Errorf("%q: %q: parser %q, policy %q", name, value, want, got)
		}
	})
}

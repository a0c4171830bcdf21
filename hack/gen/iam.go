// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// awsProvider holds all calls of AWS, each of which names its input.
const awsProvider = "pkg/provider/aws"

// awsInput is the input of a call of AWS' SDK, with the names of packages that
// linting wants.
var awsInput = regexp.MustCompile(`\b(ec2|elb|elbv2)\.([A-Z][A-Za-z0-9]+)Input\b`)

// statement is a part of a policy of IAM.
type statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  string
	Condition map[string]map[string]string `json:",omitempty"`
}

// iamPolicy is the policy of IAM that allows what the provider of AWS calls, and
// what AWS asks for besides: the tags of what is made with them, and the role of
// load balancing, which comes with the first load balancer of an account.
func iamPolicy() ([]byte, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	actions, err := awsActions(filepath.Join(root, filepath.FromSlash(awsProvider)))
	if err != nil {
		return nil, err
	}
	actions["ec2:CreateTags"], actions["elasticloadbalancing:AddTags"] = true, true
	reads := statement{Sid: "Read", Effect: "Allow", Resource: "*"}
	writes := statement{Sid: "Write", Effect: "Allow", Resource: "*"}
	for _, action := range slices.Sorted(maps.Keys(actions)) {
		if _, name, _ := strings.Cut(action, ":"); strings.HasPrefix(name, "Describe") {
			reads.Action = append(reads.Action, action)
		} else {
			writes.Action = append(writes.Action, action)
		}
	}
	role := statement{
		Sid: "ServiceLinkedRole", Effect: "Allow", Action: []string{"iam:CreateServiceLinkedRole"}, Resource: "*",
		Condition: map[string]map[string]string{"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
	}
	text, err := json.MarshalIndent(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{reads, writes, role}}, "", "  ")
	return append(text, '\n'), err
}

// awsActions are the actions of IAM for the calls in a folder.
func awsActions(folder string) (map[string]bool, error) {
	services := map[string]string{"ec2": "ec2", "elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing"}
	actions := map[string]bool{}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	files := root.FS()
	err = fs.WalkDir(files, ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := fs.ReadFile(files, path)
		for _, m := range awsInput.FindAllStringSubmatch(string(source), -1) {
			actions[services[m[1]]+":"+m[2]] = true
		}
		return err
	})
	return actions, err
}

// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The kinds of names in Azure. What Azure has no resource with is refused
// before anybody is asked for it.
type (
	// AzureName is the name of a resource of Microsoft.Network, such as a
	// public IP or a subnet.
	AzureName struct{ Example string }
	// AzureGroupName is the name of a resource group.
	AzureGroupName struct{ Example string }
)

// Azure's naming rules (Azure Resource Manager, "Naming rules and restrictions
// for Azure resources").
var (
	azureName      = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9_])?$`)
	azureGroupName = regexp.MustCompile(`^[-\p{L}\p{N}_().]*[-\p{L}\p{N}_()]$`)
)

func (AzureName) name() string      { return "name in Azure" }
func (k AzureName) example() string { return k.Example }

func (AzureName) allowed() string {
	return fmt.Sprintf("a name of at most %d letters, digits, dashes, underscores and dots, that begins with a letter or digit and does not end with a dash or dot",
		azureResourceNameMax)
}

func (AzureName) parse(raw string) (value, bool) {
	text := strings.TrimSpace(raw)
	return textValue(text), azureName.MatchString(text) && len(text) <= azureResourceNameMax
}

func (AzureName) cel(v string) string {
	return fmt.Sprintf("%[1]s.trim().matches(%[2]s) && size(%[1]s.trim()) <= %[3]d", v, celString(azureName.String()), azureResourceNameMax)
}

func (AzureGroupName) name() string      { return "name of a resource group" }
func (k AzureGroupName) example() string { return k.Example }

func (AzureGroupName) allowed() string {
	return fmt.Sprintf("a name of at most %d letters, digits, dashes, underscores, brackets and dots, that does not end with a dot", azureGroupNameMax)
}

func (AzureGroupName) parse(raw string) (value, bool) {
	text := strings.TrimSpace(raw)
	return textValue(text), IsAzureGroupName(text)
}

func (AzureGroupName) cel(v string) string {
	return fmt.Sprintf("%[1]s.trim().matches(%[2]s) && size(%[1]s.trim()) <= %[3]d", v, celString(azureGroupName.String()), azureGroupNameMax)
}

// IsAzureGroupName reports whether Azure can have a resource group of that
// name.
func IsAzureGroupName(name string) bool {
	return azureGroupName.MatchString(name) && utf8.RuneCountInString(name) <= azureGroupNameMax
}

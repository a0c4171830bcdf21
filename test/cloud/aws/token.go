// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

func tokenActions() map[string]action {
	return map[string]action{
		"sts.AssumeRole":                bind((*Cloud).assumeRole),
		"sts.AssumeRoleWithWebIdentity": bind((*Cloud).assumeRole),
		"sts.GetCallerIdentity":         bind((*Cloud).callerIdentity),
	}
}

type assumeRoleIn struct {
	RoleArn          string
	RoleSessionName  string
	ExternalID       string `json:"ExternalId"`
	DurationSeconds  *int
	WebIdentityToken string
}

type credentials struct {
	AccessKeyID     string `json:"AccessKeyId"`
	Expiration      string
	SecretAccessKey string
	SessionToken    string
}

type assumedRole struct {
	Arn           string
	AssumedRoleID string `json:"AssumedRoleId"`
}

type assumeRoleOut struct {
	AssumedRoleUser assumedRole
	Credentials     credentials
}

// sessionTime is how long credentials of a role are good for.
const sessionTime = time.Hour

func (c *Cloud) assumeRole(in assumeRoleIn) (any, *refusal) {
	_, name, ok := strings.Cut(in.RoleArn, ":role/")
	if !ok || !strings.HasPrefix(in.RoleArn, "arn:") {
		return nil, invalid("'%s' is not the ARN of a role", in.RoleArn)
	}
	key := "ASIA" + strings.ToUpper(c.digits("key", 16))
	return assumeRoleOut{
		AssumedRoleUser: assumedRole{
			Arn:           fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", c.account, name, in.RoleSessionName),
			AssumedRoleID: "AROA:" + in.RoleSessionName,
		},
		Credentials: credentials{
			AccessKeyID: key, SecretAccessKey: "secret", SessionToken: "session",
			Expiration: c.now().Add(sessionTime).UTC().Format(time.RFC3339),
		},
	}, nil
}

type callerIdentityOut struct {
	Account string
	Arn     string
	UserID  string `json:"UserId"`
}

func (c *Cloud) callerIdentity(struct{}) (any, *refusal) {
	return callerIdentityOut{
		Account: c.account, Arn: "arn:aws:iam::" + c.account + ":user/test", UserID: "AIDATEST",
	}, nil
}

// metadataRole is the role that the instance metadata has credentials of.
const metadataRole = "node"

// metadata answers as the metadata service of the first machine; nil is that
// the path is not one of it. Such calls are logged under the service imds.
func (c *Cloud) metadata(r *http.Request) *answer {
	path, ok := strings.CutPrefix(r.URL.Path, "/latest/")
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	call := &Call{Call: c.log.Next(), Kind: Other, Service: "imds", Action: path}
	c.log.Add(call)
	a := &answer{status: http.StatusOK, kind: "text/plain", body: []byte("token")}
	if r.Method == http.MethodPut && path == "api/token" {
		a.header = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21600"
	} else {
		text, known := c.metadataText(path)
		a.body = []byte(text)
		if !known {
			a.status = http.StatusNotFound
		}
	}
	call.Status = a.status
	return a
}

func (c *Cloud) metadataText(path string) (text string, known bool) {
	machines := slices.DeleteFunc(c.instances.all(), func(m *instance) bool {
		return m.State.Name != running || len(m.NetworkInterfaces) == 0
	})
	if len(machines) == 0 {
		return "", false
	}
	m := machines[0]
	mac := m.NetworkInterfaces[0].MacAddress
	switch strings.TrimSuffix(path, "/") {
	case "dynamic/instance-identity/document":
		return flatJSON(map[string]string{
			"accountId": c.account, "region": c.region, "availabilityZone": m.Placement.AvailabilityZone,
			"instanceId": m.InstanceID, "instanceType": m.InstanceType, "privateIp": m.PrivateIPAddress,
		}), true
	case "meta-data/placement/region":
		return c.region, true
	case "meta-data/placement/availability-zone":
		return m.Placement.AvailabilityZone, true
	case "meta-data/instance-id":
		return m.InstanceID, true
	case "meta-data/local-ipv4":
		return m.PrivateIPAddress, true
	case "meta-data/local-hostname", "meta-data/hostname":
		return m.PrivateDNSName, true
	case "meta-data/mac":
		return mac, true
	case "meta-data/network/interfaces/macs/" + mac + "/vpc-id":
		return m.VPCID, true
	case "meta-data/network/interfaces/macs/" + mac + "/subnet-id":
		return m.SubnetID, true
	case "meta-data/iam/security-credentials":
		return metadataRole, true
	case "meta-data/iam/security-credentials/" + metadataRole:
		return flatJSON(map[string]string{
			"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIAMETADATA", "SecretAccessKey": "secret", "Token": "session",
			"LastUpdated": c.stamp(), "Expiration": c.now().Add(sessionTime).UTC().Format(time.RFC3339),
		}), true
	default:
		return "", false
	}
}

// flatJSON writes a flat JSON object.
func flatJSON(fields map[string]string) string {
	data, err := json.Marshal(fields)
	if err != nil {
		panic("awssim: a map of texts cannot be written: " + err.Error())
	}
	return string(data)
}

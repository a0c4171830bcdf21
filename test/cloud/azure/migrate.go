// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"encoding/json"
	"strings"
)

// migrateAction turns pools of interfaces into pools of addresses.
const migrateAction = "migrateToIpBased"

// migrate runs the action on the pools that the body names, or on all.
func (c *Cloud) migrate(w *write, data []byte) (*operation, *answer) {
	if w.prior == nil {
		return nil, missingResource(w.id).answer()
	}
	body := object{}
	if len(data) > 0 {
		var err error
		if body, err = decode(data); err != nil {
			return nil, bad("InvalidRequestContent", "The request content was invalid: '%s'.", err.Error()).answer()
		}
	}
	names := strs(body, "pools")
	pools := elements(child(w.prior.doc, "properties"), "backendAddressPools")
	if len(names) == 0 {
		for _, pool := range pools {
			names = append(names, text(pool, "name"))
		}
	}
	moved := []any{}
	for _, name := range names {
		pool := named(pools, name)
		if pool == nil {
			return nil, notFoundReference(w.prior.id+"/backendAddressPools/"+name, w.id.path).answer()
		}
		moved = append(moved, text(pool, "name"))
	}
	for _, name := range names {
		c.migratePool(w.prior, text(named(pools, name), "name"))
	}
	setState(w.prior, updating)
	op := c.begin(w, w.prior)
	result, err := json.Marshal(object{"migratedPools": object{"migratedPools": moved}})
	if err != nil {
		panic("azuresim: an answer cannot be written: " + err.Error())
	}
	op.result = result
	return op, nil
}

// migratePool replaces the interfaces in a pool by their addresses.
func (c *Cloud) migratePool(lb *resource, name string) {
	doc := clone(lb.doc)
	pool := named(elements(child(doc, "properties"), "backendAddressPools"), name)
	id, props := text(pool, "id"), properties(pool)
	links := c.index.of(id, linkPool)
	members := []any{}
	for _, l := range links {
		for _, other := range c.find(l.from).links {
			if other.kind != linkSubnet || other.from != l.from {
				continue
			}
			member := memberName(l.from)
			members = append(members, object{
				"name": member, "id": id + "/" + backendAddresses + "/" + member,
				"type":       BackendPools + "/" + backendAddresses,
				"properties": object{"provisioningState": succeeded, "ipAddress": other.addr.String()},
			})
			props["virtualNetwork"] = object{"id": parent(other.to)}
			if subnet := c.findChild(other.to); subnet != nil {
				props["virtualNetwork"] = object{"id": parent(text(subnet, "id"))}
			}
		}
	}
	if len(members) == 0 {
		return
	}
	for _, l := range links {
		c.leavePool(c.find(l.from), id)
	}
	for _, l := range c.index.of(id, linkModel) {
		c.leavePool(c.find(l.from), id)
	}
	props[backendAddresses] = members
	c.commit(lb, doc)
}

// leavePool takes a pool out of all IP configurations of an interface, an
// instance or a model.
func (c *Cloud) leavePool(r *resource, pool string) {
	doc := clone(r.doc)
	configs := append(networkConfigs(doc), instanceConfigs(doc)...)
	if strings.EqualFold(r.kind.name, Interfaces) {
		configs = []object{doc}
	}
	for _, config := range configs {
		for _, ip := range elements(child(config, "properties"), "ipConfigurations") {
			dropPool(properties(ip), pool)
		}
	}
	c.commit(r, doc)
}

package catalog

import (
	"maps"
	"slices"
	"strings"

	"github.com/arionkv/arion/idl/code"
)

// EnvOp is what UpdateEnvs does. The numbers are those of app_env_operation.
type EnvOp uint8

// The operations on a table's envs.
const (
	EnvSet   EnvOp = 1
	EnvDel   EnvOp = 2
	EnvClear EnvOp = 3
)

// UpdateEnvs changes the settings of a table. Whether a key and its value make sense was checked by the proposer
// (meta/env): builds may differ in what they know, replicas of the catalog must not.
type UpdateEnvs struct {
	Name   string
	Op     EnvOp
	Keys   []string // for set and del
	Values []string // for set, as many as keys
	Prefix string   // for clear; empty means everything
}

func (*UpdateEnvs) kind() kind { return kindUpdateEnvs }

func (c *UpdateEnvs) put(e *encoder) {
	e.str(c.Name)
	e.uint(uint64(c.Op))
	e.strings(c.Keys)
	e.strings(c.Values)
	e.str(c.Prefix)
}

func (c *UpdateEnvs) get(d *decoder) {
	c.Name, c.Op, c.Keys, c.Values, c.Prefix = d.str(), EnvOp(d.Uint()), d.strings(), d.strings(), d.str()
}

func (c *UpdateEnvs) apply(s *State) Result {
	t := s.TableNamed(c.Name)
	if t == nil {
		return refuse(code.AppNotExist, "app cannot be found") // the text that upstream sends; scripts match it
	}
	if t.Status == StatusDropping {
		return refuse(code.BusyDropping, "table %q is being dropped", t.Name)
	}
	t = s.editTable(t.ID)
	r := c.change(t)
	r.TableID = t.ID
	s.changed(t)
	return r
}

func (c *UpdateEnvs) change(t *Table) Result {
	switch c.Op {
	case EnvSet:
		return c.set(t)
	case EnvDel:
		return Result{Keys: removeEnvs(t.Envs, func(k string) bool { return slices.Contains(c.Keys, k) })}
	case EnvClear:
		return Result{Keys: removeEnvs(t.Envs, func(k string) bool { return underPrefix(k, c.Prefix) })}
	}
	return refuse(code.InvalidParameters, "unknown operation %d on envs", c.Op)
}

func (c *UpdateEnvs) set(t *Table) Result {
	if len(c.Keys) == 0 || len(c.Keys) != len(c.Values) {
		return refuse(code.InvalidParameters, "%d keys and %d values", len(c.Keys), len(c.Values))
	}
	for i, k := range c.Keys {
		t.Envs[k] = c.Values[i]
	}
	return checkEnvs(t.Envs)
}

// checkEnvs bounds what a table's settings may weigh.
func checkEnvs(envs map[string]string) Result {
	if len(envs) > MaxEnvs {
		return refuse(code.InvalidParameters, "a table has at most %d envs", MaxEnvs)
	}
	for _, k := range slices.Sorted(maps.Keys(envs)) {
		if k == "" || len(k) > MaxEnvKeyLen || len(envs[k]) > MaxEnvValueLen {
			return refuse(code.InvalidParameters, "an env has a key of 1 to %d bytes and a value of at most %d", MaxEnvKeyLen, MaxEnvValueLen)
		}
	}
	return Result{}
}

// underPrefix reports whether clearing prefix takes the key: keys below "prefix.", or all when it is empty.
func underPrefix(key, prefix string) bool {
	return prefix == "" || (strings.HasPrefix(key, prefix+".") && len(key) > len(prefix)+1)
}

// removeEnvs deletes the keys that match and returns them in order.
func removeEnvs(envs map[string]string, match func(string) bool) []string {
	var gone []string
	for _, k := range slices.Sorted(maps.Keys(envs)) {
		if match(k) {
			delete(envs, k)
			gone = append(gone, k)
		}
	}
	return gone
}

// Package onebox runs a whole cluster in one process: meta servers and replica
// servers on consecutive ports of 127.0.0.1, each with its own data directory,
// so that everything a real cluster does happens here as well.
package onebox

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/arionkv/arion/config"
)

// Options are the flags of `arion onebox`.
type Options struct {
	Dir         string
	Metas       int // 1, 3 or 5
	Replicas    int // replica servers
	MetaPort    int // of the first; the others follow
	ReplicaPort int
	Tables      []Table
}

// Table is one --table flag.
type Table struct {
	Name       string
	Partitions int
	Replicas   int // 0 = as many as there are servers, at most 3
}

// Limits of the flags. One process with more servers than this proves nothing
// that fewer do not.
const (
	maxReplicas      = 16
	maxPartitions    = 1024
	usualReplicas    = 3
	largestPort      = 65535
	smallestUserPort = 1024
)

// nameForm is what meta servers accept as a table name.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_.:#-]{1,128}$`)

// ParseTable reads name:partitions[:replicas]. Names may hold colons, so the
// numbers are taken from the end.
func ParseTable(text string) (Table, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 {
		return Table{}, fmt.Errorf("--table %q is not name:partitions[:replicas], for example temp:8", text)
	}
	numbers := trailingNumbers(parts)
	name := strings.Join(parts[:len(parts)-len(numbers)], ":")
	if len(numbers) == 0 || !nameForm.MatchString(name) {
		return Table{}, fmt.Errorf("--table %q is not name:partitions[:replicas], for example temp:8", text)
	}
	t := Table{Name: name, Partitions: numbers[0]}
	if len(numbers) == 2 {
		t.Replicas = numbers[1]
		if t.Replicas < 1 {
			return Table{}, fmt.Errorf("--table %q: replicas must be at least 1", text)
		}
	}
	if t.Partitions < 2 || t.Partitions > maxPartitions || t.Partitions&(t.Partitions-1) != 0 {
		return Table{}, fmt.Errorf("--table %q: partitions must be a power of two between 2 and %d", text, maxPartitions)
	}
	return t, nil
}

// trailingNumbers reads one or two numbers at the end, leaving a name in front.
func trailingNumbers(parts []string) []int {
	var numbers []int
	for i := len(parts) - 1; i > 0 && len(numbers) < 2; i-- {
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			break
		}
		numbers = append([]int{n}, numbers...)
	}
	return numbers
}

// Validate reports everything that is wrong with the flags.
func (o *Options) Validate() error {
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	check(o.Dir != "", "--dir is required")
	check(o.Metas == 1 || o.Metas == 3 || o.Metas == 5, "--metas must be 1, 3 or 5, not %d", o.Metas)
	check(o.Replicas >= 1 && o.Replicas <= maxReplicas, "--replicas must be between 1 and %d, not %d", maxReplicas, o.Replicas)
	check(validRange(o.MetaPort, o.Metas), "--meta-port %d: %d ports from there do not fit", o.MetaPort, o.Metas)
	check(validRange(o.ReplicaPort, o.Replicas), "--replica-port %d: %d ports from there do not fit", o.ReplicaPort, o.Replicas)
	seen := make(map[string]bool)
	for _, t := range o.Tables {
		check(!seen[t.Name], "--table %s is given twice", t.Name)
		check(t.Replicas <= o.Replicas, "--table %s wants %d replicas, and there are %d replica servers", t.Name, t.Replicas, o.Replicas)
		seen[t.Name] = true
	}
	if len(problems) == 0 {
		problems = append(problems, o.checkOverlap())
	}
	return errors.Join(problems...)
}

func validRange(first, count int) bool {
	return first > smallestUserPort && first+count-1 <= largestPort
}

// checkOverlap finds two servers of the onebox that would share a port.
func (o *Options) checkOverlap() error {
	users := make(map[string]string)
	for _, n := range o.nodes() {
		for _, p := range n.ports() {
			if other, taken := users[p.addr]; taken {
				return fmt.Errorf("%s of %s and %s would both be %s; move --meta-port or --replica-port", p.use, n.name, other, p.addr)
			}
			users[p.addr] = n.name
		}
	}
	return nil
}

// node is one server to be started.
type node struct {
	name string // meta1, replica2
	addr string // rpc
}

func (o *Options) nodes() []node { return append(o.metas(), o.replicas()...) }

func (o *Options) metas() []node    { return consecutive("meta", o.MetaPort, o.Metas) }
func (o *Options) replicas() []node { return consecutive("replica", o.ReplicaPort, o.Replicas) }

func consecutive(role string, port, count int) []node {
	nodes := make([]node, count)
	for i := range nodes {
		nodes[i] = node{
			name: role + strconv.Itoa(i+1),
			addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i)),
		}
	}
	return nodes
}

// metaList is the list that clients and servers are given.
func (o *Options) metaList() []string {
	var list []string
	for _, n := range o.metas() {
		list = append(list, n.addr)
	}
	return list
}

// port is one address a server binds.
type port struct{ use, addr string }

func (n node) ports() []port {
	c := config.Config{RPC: config.RPC{Listen: n.addr}}
	return []port{{"rpc", n.addr}, {"raft", c.RaftListen()}, {"gossip", c.GossipListen()}}
}

// replicasOf is the replica count a table is created with.
func (o *Options) replicasOf(t Table) int {
	if t.Replicas > 0 {
		return t.Replicas
	}
	return min(usualReplicas, o.Replicas)
}

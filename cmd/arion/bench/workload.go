package bench

import (
	"math/rand/v2"
	"slices"
)

// operation is one kind of call, or of calls that belong together.
type operation uint8

const (
	opGet operation = iota
	opSet
	opInsert
	opRMW // read, then write the same record
	opRange
	opMultiGet
	opBatchGet
	opBatchSet
	opIncr
	opScan
	operations
)

var operationNames = [operations]string{
	"get", "set", "insert", "read_modify_write", "range", "multi_get", "batch_get", "batch_set", "incr", "scan_page",
}

// writes says whether an operation counts as a write in the report's totals.
func (op operation) writes() bool {
	switch op {
	case opSet, opInsert, opRMW, opBatchSet, opIncr:
		return true
	}
	return false
}

// share is an operation and how many of a hundred calls are of it.
type share struct {
	op      operation
	percent float64
}

// workload is a mixture of operations.
type workload struct {
	text         string
	distribution string // unless the options say otherwise
	shares       []share
}

// Workloads by name. Those of YCSB are its core workloads, with a hash key's
// sort keys in the place of its ordered key space.
var Workloads = map[string]workload{
	"load":      {"write every record once", "", []share{{opInsert, 100}}},
	"set":       {"write records", Uniform, []share{{opSet, 100}}},
	"get":       {"read records", Uniform, []share{{opGet, 100}}},
	"mixed":     {"read and write records, see --reads", Uniform, nil},
	"incr":      {"count in records of their own", Uniform, []share{{opIncr, 100}}},
	"multi_get": {"read --batch records of one hash key per call", Uniform, []share{{opMultiGet, 100}}},
	"range":     {"read up to --batch records of one hash key by range", Uniform, []share{{opRange, 100}}},
	"batch_get": {"read --batch records of any hash keys at once", Uniform, []share{{opBatchGet, 100}}},
	"batch_set": {"write --batch records of any hash keys at once", Uniform, []share{{opBatchSet, 100}}},
	"scan":      {"read the whole table, again and again", "", []share{{opScan, 100}}},
	"ycsb-a":    {"half reads, half writes", Zipfian, []share{{opGet, 50}, {opSet, 50}}},
	"ycsb-b":    {"95 % reads, 5 % writes", Zipfian, []share{{opGet, 95}, {opSet, 5}}},
	"ycsb-c":    {"reads", Zipfian, []share{{opGet, 100}}},
	"ycsb-d":    {"95 % reads of young records, 5 % new records", Latest, []share{{opGet, 95}, {opInsert, 5}}},
	"ycsb-e":    {"95 % ranges of up to --batch records, 5 % new records", Zipfian, []share{{opRange, 95}, {opInsert, 5}}},
	"ycsb-f":    {"half reads, half read-modify-writes", Zipfian, []share{{opGet, 50}, {opRMW, 50}}},
}

// synonyms are names people try first.
var synonyms = map[string]string{"read": "get", "write": "set", "batch": "batch_set"}

func init() {
	for name, same := range synonyms {
		Workloads[name] = Workloads[same]
	}
}

// WorkloadNames lists them in order.
func WorkloadNames() []string {
	var names []string
	for name := range Workloads {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Describe says what a workload does.
func Describe(name string) string { return Workloads[name].text }

// plan is a workload with the options applied.
func (o *Options) plan() workload {
	w := Workloads[o.Workload]
	if w.shares == nil {
		w.shares = []share{{opGet, 100 * o.ReadShare}, {opSet, 100 - 100*o.ReadShare}}
	}
	if o.Distribution != "" {
		w.distribution = o.Distribution
	}
	return w
}

func (w *workload) pick(rng *rand.Rand) operation {
	x := rng.Float64() * 100
	for _, s := range w.shares {
		if x -= s.percent; x < 0 {
			return s.op
		}
	}
	return w.shares[0].op
}

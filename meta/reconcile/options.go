package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/arionkv/arion/meta/catalog"
)

// Knobs are the cluster settings that operators may change at run time.
type Knobs struct {
	RepairDelay   time.Duration // a node silent for longer is replaced
	CopiesPerNode int           // replicas being copied to or from a node at once
	Copies        int           // the same in the whole cluster
	BalanceMoves  int           // of those, how many for balance
}

// DefaultKnobs are in force where the catalog says nothing; the delay comes from the configuration.
func DefaultKnobs(repairDelay time.Duration) Knobs {
	return Knobs{RepairDelay: repairDelay, CopiesPerNode: 4, Copies: 16, BalanceMoves: 2}
}

// Option is one such setting by its name.
type Option struct {
	Name, Help string
	parse      func(string) (int64, error)
	text       func(int64) string
	use        func(*Knobs, int64)
	value      func(Knobs) int64
}

// maxDelay is where a time becomes a slip of the pen.
const maxDelay = 100 * 24 * time.Hour

var options = map[string]Option{
	"replica_repair_delay": {
		Help:  "how long a node may be away before its replicas are rebuilt elsewhere, such as 5m",
		parse: parseDelay, text: func(v int64) string { return time.Duration(v).String() },
		use:   func(k *Knobs, v int64) { k.RepairDelay = time.Duration(v) },
		value: func(k Knobs) int64 { return int64(k.RepairDelay) },
	},
	"copies_per_node": count("replicas copied to or from one node at once",
		func(k *Knobs) *int { return &k.CopiesPerNode }),
	"copies": count("replicas copied at once in the whole cluster",
		func(k *Knobs) *int { return &k.Copies }),
	"balance_moves": count("replicas moved for balance at once",
		func(k *Knobs) *int { return &k.BalanceMoves }),
}

func count(help string, field func(*Knobs) *int) Option {
	return Option{
		Help: help, parse: parseCount, text: func(v int64) string { return strconv.FormatInt(v, 10) },
		use:   func(k *Knobs, v int64) { *field(k) = int(v) },
		value: func(k Knobs) int64 { return int64(*field(&k)) },
	}
}

func parseDelay(text string) (int64, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d > maxDelay {
		return 0, fmt.Errorf("%q is not a time from 1s to %s", text, maxDelay)
	}
	return int64(d), nil
}

func parseCount(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 || n > 1000 {
		return 0, fmt.Errorf("%q is not a number from 1 to 1000", text)
	}
	return n, nil
}

// AllOptions lists the settings by name.
func AllOptions() []Option {
	var out []Option
	for _, name := range slices.Sorted(maps.Keys(options)) {
		o := options[name]
		o.Name = name
		out = append(out, o)
	}
	return out
}

// SetOption makes the command that sets a setting; the value "default" takes an earlier one back.
func SetOption(name, value string) (*catalog.SetOption, error) {
	o, known := options[name]
	if !known {
		return nil, fmt.Errorf("there is no setting %q", name)
	}
	if value == "default" {
		return &catalog.SetOption{Name: name, Value: -1}, nil
	}
	v, err := o.parse(value)
	return &catalog.SetOption{Name: name, Value: v}, err
}

// Text is the value of a setting that is in force.
func (o Option) Text(k Knobs) string { return o.text(o.value(k)) }

// With gives the knobs in force under the catalog's options.
func (k Knobs) With(s *catalog.State) Knobs {
	for name, v := range s.Settings.Options {
		if o, known := options[name]; known {
			o.use(&k, v)
		}
	}
	return k
}

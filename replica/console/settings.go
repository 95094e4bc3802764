package console

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/config"
	"github.com/arionkv/arion/internal/obs"
)

// setting is one line of /configs. Most settings are fixed at start; the others
// have a set.
type setting struct {
	name, kind, description string
	get                     func() string
	set                     func(text string) error
}

// The tools show settings of known sections only and change those with the tag.
const (
	toolSection = "pegasus.server"
	mutableTag  = "flag_tag::FT_MUTABLE"
)

func (s *setting) row() map[string]string {
	tags := ""
	if s.set != nil {
		tags = mutableTag
	}
	return map[string]string{
		"name": s.name, "section": toolSection, "type": s.kind, "tags": tags,
		"description": s.description, "value": s.get(),
	}
}

// listSettings are the settings of the configuration, of which some can change
// while the server runs. Changes last until it stops.
func (c *Console) listSettings() (all []*setting) {
	live := c.liveSettings()
	effective := c.o.Config.Effective()
	for _, k := range c.o.Config.Settings() {
		if s := live[k.Key]; s != nil {
			all = append(all, s)
			delete(live, k.Key)
			continue
		}
		shown := fmt.Sprint(effective[k.Key])
		all = append(all, &setting{
			name: k.Key, kind: "string", description: "fixed while the server runs", get: func() string { return shown },
		})
	}
	for _, name := range []string{maxCompactions} {
		all = append(all, live[name])
	}
	return all
}

const (
	logLevel       = "log.level"
	lowWater       = "replica.disk_low_water"
	maxCompactions = "replica.max_manual_compactions"
)

func (c *Console) liveSettings() map[string]*setting {
	log, disk, runner := c.o.Log.Logger, c.o.Host.Disk(), c.o.Host.Compactions()
	return map[string]*setting{
		logLevel: {
			name: logLevel, kind: "string", description: "least level that is logged: debug, info, warn, error",
			get: func() string { return log.GetLevel().String() },
			set: func(v string) error { return setLevel(log, v) },
		},
		lowWater: {
			name: lowWater, kind: "size", description: "writes are refused while less disk is free",
			get: func() string { return config.Size(disk.LowWater()).String() },
			set: func(v string) error {
				var size config.Size
				if err := size.UnmarshalText([]byte(v)); err != nil || size < 0 {
					return fmt.Errorf("want a size such as 512MB")
				}
				disk.SetLowWater(int64(size))
				return nil
			},
		},
		maxCompactions: {
			name: maxCompactions, kind: "int", description: "manual compactions at once on this node",
			get: func() string { return strconv.Itoa(runner.Limit()) },
			set: func(v string) error {
				n, err := strconv.Atoi(v)
				if err != nil || n < 0 || n > maxCompactionsBound {
					return fmt.Errorf("want a number from 0 to %d", maxCompactionsBound)
				}
				runner.SetLimit(n)
				return nil
			},
		},
	}
}

// maxCompactionsBound is far above what disks bear.
const maxCompactionsBound = 1000

// setLevel takes logrus's names and those of Pegasus (LOG_LEVEL_WARNING). A level
// that hides errors is refused.
func setLevel(log *logrus.Logger, text string) error {
	name := strings.TrimPrefix(strings.ToLower(text), "log_level_")
	level, err := logrus.ParseLevel(name)
	if err != nil || level < logrus.ErrorLevel {
		return fmt.Errorf("want debug, info, warning or error")
	}
	log.SetLevel(level)
	return nil
}

func (c *Console) resetLogLevel(args []string) (string, error) {
	text := c.o.Config.Log.Level
	if len(args) > 0 {
		text = args[0]
	}
	if err := setLevel(c.o.Log.Logger, text); err != nil {
		return "", err
	}
	return "OK, current level is " + c.o.Log.Logger.GetLevel().String(), nil
}

func (c *Console) find(name string) *setting {
	for _, s := range c.settings {
		if s.name == name {
			return s
		}
	}
	return nil
}

func (c *Console) config(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	switch s := c.find(name); {
	case name == "":
		http.Error(w, "parameter name is missing", http.StatusBadRequest)
	case s == nil:
		http.Error(w, fmt.Sprintf("there is no setting %q", name), http.StatusNotFound)
	default:
		obs.WriteJSON(w, http.StatusOK, s.row())
	}
}

func (c *Console) configs(w http.ResponseWriter, _ *http.Request) {
	all := make(map[string]map[string]string, len(c.settings))
	for _, s := range c.settings {
		all[s.name] = s.row()
	}
	obs.WriteJSON(w, http.StatusOK, all)
}

// updateConfig changes one setting. The answer is in the body, as the tools
// expect it: a refusal is not a failed request.
func (c *Console) updateConfig(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if len(q) != 1 {
		http.Error(w, "exactly one name=value is needed", http.StatusBadRequest)
		return
	}
	status := "ERR_OK"
	for name, values := range q {
		if err := c.update(name, values[0]); err != nil {
			status = "ERR_INVALID_PARAMETERS: " + err.Error()
		} else {
			c.o.Log.WithFields(logrus.Fields{"setting": name, "value": values[0]}).Warn("setting changed by an operator")
		}
	}
	obs.WriteJSON(w, http.StatusOK, map[string]string{"update_status": status})
}

func (c *Console) update(name, text string) error {
	s := c.find(name)
	switch {
	case s == nil:
		return fmt.Errorf("there is no setting %q", name)
	case s.set == nil:
		return fmt.Errorf("%s is fixed while the server runs", name)
	}
	return s.set(text)
}

package config

import (
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

const envPrefix = "ARION"

// Load reads the settings of a server and validates them. path may be empty;
// its extension chooses the format (.toml, .yaml, .json). overrides maps keys
// such as "node.dir" to values and wins over everything else.
//
// An unknown key is an error wherever it is written: a typo that silently
// leaves the default in place is found only in production.
func Load(path string, overrides map[string]any) (*Config, error) {
	v := viper.New()
	v.SetEnvPrefix(envPrefix)
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	v.AutomaticEnv()
	// Without a registered default viper never shows Unmarshal a key that is
	// set in the environment only.
	for _, s := range Default().Settings() {
		v.SetDefault(s.Key, s.Value)
	}
	if err := checkEnvNames(os.Environ()); err != nil {
		return nil, err
	}
	if path != "" {
		v.SetConfigFile(path)
		if err := v.ReadInConfig(); err != nil {
			return nil, fmt.Errorf("config %s: %w", path, err)
		}
	}
	for key, value := range overrides {
		v.Set(key, value)
	}
	c := &Config{}
	if err := v.UnmarshalExact(c, viper.DecodeHook(decodeHook())); err != nil {
		return nil, fmt.Errorf("config %s: %w", orDefault(path, "(no file)"), err)
	}
	c.DivideMemory()
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("config %s: %w", orDefault(path, "(no file)"), err)
	}
	return c, nil
}

// Setting is one key with its value in the form a file would hold it.
type Setting struct {
	Key   string
	Value any // string, bool, int or []string
}

// Settings lists every key of c in the order of the struct. Durations and
// sizes are text with units.
func (c *Config) Settings() []Setting {
	var all []Setting
	root := reflect.ValueOf(c).Elem()
	for i := range root.NumField() {
		section := root.Type().Field(i).Tag.Get("mapstructure")
		values := root.Field(i)
		for j := range values.NumField() {
			key := section + "." + values.Type().Field(j).Tag.Get("mapstructure")
			all = append(all, Setting{Key: key, Value: plain(values.Field(j).Interface())})
		}
	}
	return all
}

// Effective is Settings for logs: secrets are hidden.
func (c *Config) Effective() map[string]any {
	shown := make(map[string]any)
	for _, s := range c.Settings() {
		if secret(s.Key) && s.Value != "" {
			s.Value = "(hidden)"
		}
		shown[s.Key] = s.Value
	}
	return shown
}

func secret(key string) bool { return key == "gossip.key" }

func plain(value any) any {
	switch v := value.(type) {
	case time.Duration:
		return v.String()
	case Size:
		return v.String()
	}
	return value
}

func decodeHook() mapstructure.DecodeHookFunc {
	return mapstructure.ComposeDecodeHookFunc(
		requireUnit,
		mapstructure.StringToTimeDurationHookFunc(),
		mapstructure.TextUnmarshallerHookFunc(),
		mapstructure.StringToSliceHookFunc(","),
	)
}

// requireUnit refuses a bare number for a duration or a size, which would
// otherwise be taken as nanoseconds or bytes.
func requireUnit(from, to reflect.Type, data any) (any, error) {
	united := to == reflect.TypeFor[time.Duration]() || to == reflect.TypeFor[Size]()
	if united && from.Kind() != reflect.String && data != 0 {
		return nil, fmt.Errorf("%v needs a unit, for example \"100ms\" or \"64MB\"", data)
	}
	if to == reflect.TypeFor[time.Duration]() && data == "0" {
		return "0s", nil
	}
	return data, nil
}

// checkEnvNames finds ARION_<SECTION>_... variables that name no key. Others
// with the prefix belong to tools and are left alone.
func checkEnvNames(environ []string) error {
	known, sections := envNames()
	var problems Problems
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		rest, ok := strings.CutPrefix(name, envPrefix+"_")
		// ARION_META alone is a setting of the shell, like ARION_TABLE.
		section, _, further := strings.Cut(rest, "_")
		if ok && further && sections[section] && !known[name] {
			problems = append(problems, Problem{Key: name, Text: "is not a setting"})
		}
	}
	sort.Slice(problems, func(i, j int) bool { return problems[i].Key < problems[j].Key })
	return problems.orNil()
}

func envNames() (known, sections map[string]bool) {
	known, sections = make(map[string]bool), make(map[string]bool)
	for _, s := range Default().Settings() {
		upper := strings.ToUpper(s.Key)
		section, _, _ := strings.Cut(upper, ".")
		sections[section] = true
		known[envPrefix+"_"+strings.ReplaceAll(upper, ".", "_")] = true
	}
	return known, sections
}

func orDefault(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// Package profile keeps named connection settings: which cluster, which table, how
// to connect. Secrets are kept by reference, never by value.
package profile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// FileEnv names the variable with the path of the profiles file.
const FileEnv = "ARION_PROFILES"

// Profile is one named set of settings. Empty members leave the default.
type Profile struct {
	Name    string   `json:"-"`
	Metas   []string `json:"meta"`
	Table   string   `json:"table,omitempty"`
	Timeout string   `json:"timeout,omitempty"` // a duration, as in 10s
	Output  string   `json:"output,omitempty"`
	TLS     *TLS     `json:"tls,omitempty"`
}

// Store is the file of profiles.
type Store struct{ Path string }

// Default is the store of this user: the path in FileEnv, or arion/profiles.json
// where the system keeps settings.
func Default() Store {
	dir, _ := os.UserConfigDir() // without one, profiles cannot be kept; Load finds none
	if dir != "" {
		dir = filepath.Join(dir, "arion", "profiles.json")
	}
	return Store{Path: cmp.Or(os.Getenv(FileEnv), dir)}
}

// file is the layout on disk. Format is counted up when it changes.
type file struct {
	Format   int                 `json:"format"`
	Used     string              `json:"used,omitempty"` // the profile without --ctx
	Profiles map[string]*Profile `json:"profiles"`
}

const fileFormat = 1

// ErrUnknown: there is no profile of that name.
var ErrUnknown = errors.New("there is no context of that name")

func (s Store) load() (*file, error) {
	f := &file{Format: fileFormat, Profiles: map[string]*Profile{}}
	if s.Path == "" {
		return f, nil
	}
	b, err := os.ReadFile(s.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, nil
	case err != nil:
		return nil, fmt.Errorf("profiles: %w", err)
	}
	if err := json.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("profiles in %s: %w", s.Path, err)
	}
	if f.Format != fileFormat {
		return nil, fmt.Errorf("profiles in %s: format %d is unknown", s.Path, f.Format)
	}
	for name, p := range f.Profiles {
		if p == nil {
			delete(f.Profiles, name)
			continue
		}
		p.Name = name
	}
	return f, nil
}

// save replaces the file in one step; only its owner may read it.
func (s Store) save(f *file) error {
	if s.Path == "" {
		return errors.New("profiles: no home directory; set " + FileEnv)
	}
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("profiles: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(s.Path), 0o700); err != nil {
		return fmt.Errorf("profiles: %w", err)
	}
	temp, err := os.CreateTemp(filepath.Dir(s.Path), ".profiles-*") // mode 0600
	if err != nil {
		return fmt.Errorf("profiles: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(append(b, '\n'))
	if err = errors.Join(err, temp.Close()); err != nil {
		return fmt.Errorf("profiles: %w", err)
	}
	if err := os.Rename(temp.Name(), s.Path); err != nil {
		return fmt.Errorf("profiles: %w", err)
	}
	return nil
}

// Get gives a profile by name; an empty name means the one in use, which may be
// none: nil.
func (s Store) Get(name string) (*Profile, error) {
	f, err := s.load()
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = f.Used
		if name == "" {
			return nil, nil
		}
	}
	p := f.Profiles[name]
	if p == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	return p, nil
}

// Put adds or replaces a profile.
func (s Store) Put(p *Profile) error {
	f, err := s.load()
	if err != nil {
		return err
	}
	f.Profiles[p.Name] = p
	return s.save(f)
}

// Remove takes a profile away.
func (s Store) Remove(name string) error {
	f, err := s.load()
	if err != nil {
		return err
	}
	if f.Profiles[name] == nil {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	delete(f.Profiles, name)
	if f.Used == name {
		f.Used = ""
	}
	return s.save(f)
}

// Use makes a profile the one that serves when none is named.
func (s Store) Use(name string) error {
	f, err := s.load()
	if err != nil {
		return err
	}
	if f.Profiles[name] == nil {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	f.Used = name
	return s.save(f)
}

// List gives all profiles by name, and the name of the one in use.
func (s Store) List() (profiles []*Profile, used string, err error) {
	f, err := s.load()
	if err != nil {
		return nil, "", err
	}
	for _, name := range slices.Sorted(maps.Keys(f.Profiles)) {
		profiles = append(profiles, f.Profiles[name])
	}
	return profiles, f.Used, nil
}

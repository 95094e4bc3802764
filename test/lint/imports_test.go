// Package lint holds the import rules of the tree (DESIGN: imports point one
// way, and each large dependency has one home).
package lint

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/arionkv/arion/"

// A rule forbids imports to a part of the tree. Paths of ours are relative to
// the module; the name of a directory stands for everything below it as well.
type rule struct {
	in      []string // packages it binds; empty = all
	except  []string // packages it does not bind
	forbids []string // import paths; of ours without the module name
	allows  []string // what forbids would catch and is right nevertheless
	tests   bool     // binds _test.go files too
	instead string   // what to do, printed with a failure
}

// ours stands for every package of this module.
const ours = "*"

var rules = []rule{
	{
		in: []string{"idl"}, forbids: []string{ours}, allows: []string{"idl"},
		instead: "idl is the contract and stands alone; move the code to the package that needs it",
	}, {
		in: []string{"config"}, forbids: []string{ours}, allows: []string{"config"},
		instead: "config holds plain values; let the consumer turn them into its own types",
	}, {
		in: []string{"client"}, forbids: []string{ours}, allows: []string{"client", "idl", "internal/socket"},
		instead: "client may use idl and the leaf internal/socket only, so that users can import it without the servers",
	}, {
		in: []string{"shell"}, forbids: []string{ours}, allows: []string{"shell", "client", "config", "idl"},
		instead: "shell speaks to servers through client only",
	}, {
		in: []string{"internal"}, forbids: []string{ours}, allows: []string{"internal", "config", "idl"},
		instead: "internal packages serve both roles; hand in what is needed as an interface",
	}, {
		in: []string{"meta"}, forbids: []string{"replica", "client", "shell", "cmd"},
		instead: "meta reaches replica servers by RPC (internal/rpc, idl/arion)",
	}, {
		in: []string{"replica"}, forbids: []string{"meta", "client", "shell", "cmd"},
		instead: "replica reaches meta servers by RPC (internal/rpc, idl/arion)",
	}, {
		except: []string{"test"}, forbids: []string{"test"},
		instead: "only tests import test/",
	}, {
		except:  []string{"replica/engine/rocks"},
		forbids: []string{"C", "github.com/linxGnu/grocksdb"}, tests: true,
		instead: "cgo lives in replica/engine/rocks; use the replica/engine contract, and engine/mem in tests",
	}, {
		except:  []string{"cmd", "replica/engine/rocks", "test"},
		forbids: []string{"replica/engine/rocks"},
		instead: "only cmd/arion chooses the engine; take an engine.Opener",
	}, {
		except:  []string{"internal/raft", "internal/obs", "meta/raft", "replica/partition", "replica/host"},
		forbids: []string{"github.com/lni/dragonboat"}, tests: true,
		instead: "use replica/partition, or meta/raft in the meta server",
	}, {
		except: []string{"internal/gossip"}, forbids: []string{"github.com/hashicorp/memberlist"}, tests: true,
		instead: "use internal/gossip",
	}, {
		except: []string{"config"}, forbids: []string{"github.com/spf13/viper"}, tests: true,
		instead: "take a config section; viper stays inside config.Load",
	},
}

func TestImports(t *testing.T) {
	files := sources(t)
	require.Greater(t, len(files), 10, "the walk must find the tree")
	for _, f := range files {
		for _, r := range rules {
			if imported, bad := r.broken(f); bad {
				t.Errorf("%s imports %s: %s", f.path, imported, r.instead)
			}
		}
	}
}

// A rule that never fires looks like one that holds, so each is shown a
// violation here.
func TestRulesFire(t *testing.T) {
	for _, tc := range []struct {
		path, imported string
		bad            bool
	}{
		{"idl/key/key.go", module + "config", true},
		{"idl/frame/frame.go", module + "idl/binproto", false},
		{"config/load.go", module + "idl/code", true},
		{"config/load.go", "github.com/spf13/viper", false},
		{"client/client.go", module + "internal/rpc", true},
		{"client/client_test.go", module + "test/fakekv", false},
		{"shell/shell.go", module + "internal/obs", true},
		{"shell/render/table.go", module + "client", false},
		{"meta/server.go", module + "replica/host", true},
		{"meta/catalog/catalog.go", "github.com/lni/dragonboat/v4", true},
		{"meta/raft/group.go", "github.com/lni/dragonboat/v4/statemachine", false},
		{"meta/raftlike/x.go", "github.com/lni/dragonboat/v4", true},
		{"replica/read/get.go", "github.com/linxGnu/grocksdb", true},
		{"replica/read/get_test.go", "C", true},
		{"replica/engine/rocks/db.go", "C", false},
		{"replica/server.go", module + "replica/engine/rocks", true},
		{"cmd/arion/main.go", module + "replica/engine/rocks", false},
		{"internal/rpc/server.go", module + "meta", true},
		{"internal/rpc/server.go", "github.com/hashicorp/memberlist", true},
		{"replica/host/host.go", module + "test/fakekv", true},
	} {
		f := source{path: tc.path, imports: []string{tc.imported}}
		bad := false
		for _, r := range rules {
			_, b := r.broken(f)
			bad = bad || b
		}
		require.Equal(t, tc.bad, bad, "%s importing %s", tc.path, tc.imported)
	}
}

// source is one Go file: its path in the tree and what it imports.
type source struct {
	path    string
	imports []string
}

func (r rule) broken(f source) (imported string, bad bool) {
	dir := path.Dir(f.path)
	bound := len(r.in) == 0 || within(dir, r.in)
	if !bound || within(dir, r.except) || (strings.HasSuffix(f.path, "_test.go") && !r.tests) {
		return "", false
	}
	for _, full := range f.imports {
		short, own := strings.CutPrefix(full, module)
		forbidden := within(short, r.forbids) || (own && within(ours, r.forbids))
		if forbidden && !(own && within(short, r.allows)) {
			return full, true
		}
	}
	return "", false
}

// within tells whether p is one of dirs or below one.
func within(p string, dirs []string) bool {
	for _, dir := range dirs {
		if p == dir || strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return false
}

// sources parses the imports of every Go file of the tree, whatever build
// tags it carries.
func sources(t *testing.T) []source {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	var all []source
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != root && skipped(d.Name()):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(file) != ".go":
			return nil
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		imports, err := importsOf(file)
		all = append(all, source{path: filepath.ToSlash(relative), imports: imports})
		return err
	})
	require.NoError(t, err)
	return all
}

func skipped(dir string) bool {
	return strings.HasPrefix(dir, ".") || dir == "testdata" || dir == "data" || dir == "bin"
}

func importsOf(file string) ([]string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var imports []string
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		imports = append(imports, name)
	}
	return imports, nil
}

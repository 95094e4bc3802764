package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/replica/compact"
	"github.com/arionkv/arion/replica/hotkey"
)

func (c *Console) queryCompact(args []string) (string, error) {
	replicas, err := c.replicas(args)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, r := range replicas {
		st := c.o.Host.Compactions().Status(compact.ID{Table: r.table, Index: r.index})
		fmt.Fprintf(&b, "%s: %s", r.name(), strings.ToLower(st.State.String()))
		if !st.Finished.IsZero() {
			fmt.Fprintf(&b, ", last began %s and took %v", st.Began.Format(time.DateTime), st.Finished.Sub(st.Began).Round(time.Millisecond))
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

func (c *Console) queryEnvs(args []string) (string, error) {
	replicas, err := c.replicas(args)
	if err != nil {
		return "", err
	}
	envs := make(map[string]map[string]string, len(replicas))
	for _, r := range replicas {
		envs[r.name()] = r.Table().Envs
	}
	text, err := json.MarshalIndent(envs, "", "  ")
	return string(text), err
}

// hotKeysShown per replica and kind.
const hotKeysShown = 5

type hotKeyLine struct {
	Partition string  `json:"partition"`
	Kind      string  `json:"kind"`
	HashKey   string  `json:"hash_key"`
	Length    int     `json:"length"`
	Share     float64 `json:"share"`
	Requests  float64 `json:"recent_requests"`
}

func (c *Console) hotKeys(args []string) (string, error) {
	replicas, err := c.replicas(args)
	if err != nil {
		return "", err
	}
	lines := []hotKeyLine{}
	second := c.now().Unix()
	for _, r := range replicas {
		for _, s := range []struct {
			kind   string
			sketch *hotkey.Sketch
		}{{"read", &r.Load.Reads}, {"write", &r.Load.Writes}} {
			for _, k := range s.sketch.Top(hotKeysShown, second) {
				lines = append(lines, hotKeyLine{r.name(), s.kind, hotkey.Escape(k.Key), k.Length, k.Share, k.Count})
			}
		}
	}
	text, err := json.MarshalIndent(lines, "", "  ")
	return string(text), err
}

type rateLine struct {
	Partition  string  `json:"partition"`
	Table      string  `json:"table"`
	Leader     bool    `json:"leader"`
	Reads      float64 `json:"reads_per_sec"`
	Writes     float64 `json:"writes_per_sec"`
	ReadBytes  float64 `json:"read_bytes_per_sec"`
	WriteBytes float64 `json:"write_bytes_per_sec"`
}

func (c *Console) rates(args []string) (string, error) {
	replicas, err := c.replicas(args)
	if err != nil {
		return "", err
	}
	now := c.now()
	lines := make([]rateLine, 0, len(replicas))
	for _, r := range replicas {
		v := r.Load.Rates(now)
		reads, writes := v.SplitBytes()
		lines = append(lines, rateLine{r.name(), r.Table().Name, r.Leading(), v.Reads(), v.Writes(), reads, writes})
	}
	sort.SliceStable(lines, func(i, j int) bool {
		return lines[i].Reads+lines[i].Writes > lines[j].Reads+lines[j].Writes
	})
	text, err := json.MarshalIndent(lines, "", "  ")
	return string(text), err
}

// tableParameter reads a table id, or answers 400.
func tableParameter(w http.ResponseWriter, r *http.Request, name string) (int32, bool) {
	id, err := strconv.ParseInt(r.URL.Query().Get(name), 10, 32)
	if err != nil || id <= 0 {
		http.Error(w, name+" must be a table id", http.StatusBadRequest)
		return 0, false
	}
	return int32(id), true
}

func (c *Console) manualCompaction(w http.ResponseWriter, r *http.Request) {
	id, ok := tableParameter(w, r, "app_id")
	if !ok {
		return
	}
	counts, ok := c.o.Host.Compactions().Count(id)
	if !ok {
		http.Error(w, fmt.Sprintf("app_id=%d has no partition on this node", id), http.StatusNotFound)
		return
	}
	status := map[string]int{}
	for _, s := range []compact.State{compact.Idle, compact.Running, compact.Queued, compact.Finished} {
		status[s.String()] = counts[s]
	}
	obs.WriteJSON(w, http.StatusOK, map[string]any{"status": status})
}

// duplication: no table of this release is duplicated.
func (c *Console) duplication(w http.ResponseWriter, r *http.Request) {
	if id, ok := tableParameter(w, r, "appid"); ok {
		if _, err := c.replicas([]string{strconv.Itoa(int(id))}); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		obs.WriteJSON(w, http.StatusOK, struct{}{})
	}
}

package obs

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestHTTP(t *testing.T) {
	reg := NewRegistry()
	reg.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "arion_test_total", Help: "x"}))
	var ready, health error
	h := NewHTTP(HTTPOptions{
		Registry: reg, Version: "1.2.3", GitCommit: "abc",
		Start:  time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local),
		Ready:  func() error { return ready },
		Notes:  func() []string { return []string{"replica 7 is damaged"} },
		Health: func() error { return health },
	})
	h.Route("/meta/apps", "tables", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		WriteJSON(w, http.StatusOK, []int{1})
	}))

	require.JSONEq(t, `{"Version":"1.2.3","GitCommit":"abc"}`, get(h, "/version").Body.String())
	require.JSONEq(t, `{"RecentStartTime":"2026-01-02 03:04:05"}`, get(h, "/recentStartTime").Body.String())
	require.Contains(t, get(h, "/metrics").Body.String(), "arion_test_total 0")
	require.Contains(t, get(h, "/metrics").Body.String(), "go_goroutines")
	require.Equal(t, "[1]\n", get(h, "/meta/apps").Body.String())
	require.Equal(t, http.StatusOK, get(h, "/debug/pprof/heap?debug=1").Code)
	require.Equal(t, http.StatusNotFound, get(h, "/nothing").Code)

	var index map[string]string
	require.NoError(t, json.Unmarshal(get(h, "/").Body.Bytes(), &index))
	for _, path := range []string{"/", "/metrics", "/healthz", "/readyz", "/version", "/recentStartTime", "/debug/pprof/", "/meta/apps"} {
		require.NotEmpty(t, index[path], path)
	}

	require.Equal(t, http.StatusOK, get(h, "/readyz").Code)
	require.Equal(t, "ok\nreplica 7 is damaged\n", get(h, "/readyz").Body.String())
	ready = errors.New("no leader yet")
	w := get(h, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Contains(t, w.Body.String(), "no leader yet")
	require.Equal(t, "ok\n", get(h, "/healthz").Body.String())
	health = errors.New("disk gone")
	require.Equal(t, http.StatusServiceUnavailable, get(h, "/healthz").Code)
}

func TestHTTPWithoutChecks(t *testing.T) {
	h := NewHTTP(HTTPOptions{})
	require.Equal(t, http.StatusOK, get(h, "/healthz").Code)
	require.Equal(t, http.StatusOK, get(h, "/readyz").Code)
	require.Equal(t, http.StatusNotFound, get(h, "/metrics").Code)
	w := httptest.NewRecorder()
	WriteJSON(w, http.StatusOK, make(chan int))
	require.Equal(t, http.StatusInternalServerError, w.Code)
}

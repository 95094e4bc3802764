package service

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/meta/raft"
)

// maxPost bounds the body of a POST: some names and numbers.
const maxPost = 64 << 10

// post serves a path that changes something: a JSON object in, the outcome in the body.
func (s *Service) post(do func(ctx context.Context, body map[string]any) (code.Code, string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.servePost(w, r, do) })
}

func (s *Service) servePost(w http.ResponseWriter, r *http.Request, do func(context.Context, map[string]any) (code.Code, string, error)) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST a JSON object", http.StatusMethodNotAllowed)
		return
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPost))
	d.UseNumber()
	var body map[string]any
	if err := d.Decode(&body); err != nil {
		http.Error(w, "the body is no JSON object", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), writeTimeout)
	defer cancel()
	c, hint, err := do(ctx, body)
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		s.redirect(w, r)
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		obs.WriteJSON(w, http.StatusOK, map[string]string{"error": c.String(), "hint_msg": hint})
	}
}

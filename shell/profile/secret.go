package profile

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Secret says where a secret is: env:NAME, file:PATH or cmd:COMMAND. The secret
// itself is read when it is needed, and neither kept nor shown.
type Secret string

// ParseSecret refuses anything that is not a reference, so that no secret ends up
// in the file of profiles by mistake.
func ParseSecret(text string) (Secret, error) {
	kind, rest, _ := strings.Cut(text, ":")
	if rest == "" || kind != "env" && kind != "file" && kind != "cmd" {
		return "", errors.New("a secret is given as env:NAME, file:PATH or cmd:COMMAND, never by value")
	}
	return Secret(text), nil
}

// Read fetches the secret.
func (s Secret) Read(ctx context.Context) ([]byte, error) {
	kind, rest, _ := strings.Cut(string(s), ":")
	switch kind {
	case "env":
		value, ok := os.LookupEnv(rest)
		if !ok {
			return nil, fmt.Errorf("secret %s: the variable is not set", s)
		}
		return []byte(value), nil
	case "file":
		b, err := os.ReadFile(rest)
		if err != nil {
			return nil, fmt.Errorf("secret: %w", err)
		}
		return b, nil
	case "cmd":
		b, err := exec.CommandContext(ctx, "/bin/sh", "-c", rest).Output()
		if err != nil {
			return nil, fmt.Errorf("secret %s: %w", s, err)
		}
		return b, nil
	}
	return nil, fmt.Errorf("secret %q is no reference", s)
}

// TLS says how connections are encrypted. The certificates are files; the key is a
// secret.
type TLS struct {
	CA   string `json:"ca,omitempty"` // PEM file of who may sign servers; empty = the system's
	Cert string `json:"cert,omitempty"`
	Key  Secret `json:"key,omitempty"`
}

// Config reads what is referred to. A nil TLS gives a nil Config: no encryption.
func (t *TLS) Config(ctx context.Context) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: %s holds no certificate", t.CA)
		}
	}
	if t.Cert == "" {
		return c, nil
	}
	cert, err := os.ReadFile(t.Cert)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	key, err := t.Key.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, errors.New("tls: certificate and key do not fit together") // the error could quote the key
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

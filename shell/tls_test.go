package shell_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/shell/command"
)

// Servers speak no TLS: a profile that asks for it says so, when it is made and
// when it fails. Where a proxy ends TLS, the certificates of the profile serve.
func TestTLSProfiles(t *testing.T) {
	st := newStage(t)
	certificate := selfSigned(t)
	require.NoError(t, os.WriteFile("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o600))
	require.Zero(t, st.run(t, "ctx add plain "+st.cluster.Metas()[0]+" --tls_ca ca.pem"), st.out.String())
	require.Contains(t, st.out.String(), "servers speak no TLS themselves")
	require.Equal(t, command.ExitUnreachable, st.run(t, "cc plain\nls"), st.out.String())
	require.Contains(t, st.out.String(), "the profile plain asks for TLS, and servers speak no TLS themselves")

	proxy := endTLS(t, certificate, st.cluster.Metas()[0])
	require.Zero(t, st.run(t, "ctx add proxied "+proxy+" --tls_ca ca.pem\ncc proxied\nls"), st.out.String())
	require.Contains(t, st.out.String(), "temp")
}

func selfSigned(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// endTLS is a proxy to a server.
func endTLS(t *testing.T, c tls.Certificate, to string) string {
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{c}})
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer out.Close()
				go func() {
					_, _ = io.Copy(out, in) // ends with either side
					out.Close()
				}()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
	return ln.Addr().String()
}

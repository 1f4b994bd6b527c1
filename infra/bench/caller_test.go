package bench_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// post returns the bytes of a signed request that posts message n to a socket. It has the headers of the AWS SDK.
func (s server) post(t testing.TB, name, target string, n int) []byte {
	t.Helper()
	body := fmt.Sprintf(`{"to":%q,"n":%d,"text":"a delta of the usual length, which is about a hundred bytes in all"}`,
		name, n)
	u, err := url.Parse(s.Connections)
	if err != nil {
		t.Fatal(err)
	}
	path := u.Path + "/" + url.PathEscape(target)
	r := &http.Request{Method: http.MethodPost, Host: u.Host, ContentLength: int64(len(body)),
		URL: &url.URL{Scheme: u.Scheme, Host: u.Host, Opaque: "//" + u.Host + path}, Header: http.Header{
			"Content-Type":          {"application/octet-stream"},
			"Amz-Sdk-Invocation-Id": {"7b0d7b6d-6f0c-4c9a-8d8f-2f7f4a1d9c33"},
			"Amz-Sdk-Request":       {"attempt=1; max=3"},
			"User-Agent":            {"aws-sdk-go-v2/1.41.0 os/linux lang/go#1.26 md/GOOS#linux md/GOARCH#amd64"},
			"X-Amz-Security-Token":  {"5f2c8a34-17a9-4d1e-9a74-0c6b8f0f7a21"}}}
	sum := sha256.Sum256([]byte(body))
	key := aws.Credentials{AccessKeyID: s.KeyID, SecretAccessKey: s.Secret}
	if err := v4.NewSigner().SignHTTP(t.Context(), key, r, hex.EncodeToString(sum[:]), "execute-api", "us-east-1",
		time.Now()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", path, u.Host, len(body))
	if err := r.Header.Write(&out); err != nil {
		t.Fatal(err)
	}
	out.WriteString("\r\n" + body)
	return out.Bytes()
}

// caller is one connection for posts.
type caller struct {
	conn net.Conn
	in   *bufio.Reader
}

// call opens a connection for posts and closes it when the test ends.
func call(t testing.TB, s server) *caller {
	t.Helper()
	u, err := url.Parse(s.Connections)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", u.Host, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	return &caller{conn, bufio.NewReader(conn)}
}

// do sends a request and reads its response, whose status must be 200 or 204.
func (c *caller) do(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	status, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200")) && !bytes.HasPrefix(status, []byte("HTTP/1.1 204")) {
		return fmt.Errorf("a post was answered %q", status)
	}
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		if name == "" {
			break
		}
		if strings.EqualFold(name, "Content-Length") {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return fmt.Errorf("a post was answered with %q: %w", line, err)
			}
		}
	}
	_, err = c.in.Discard(length)
	return err
}

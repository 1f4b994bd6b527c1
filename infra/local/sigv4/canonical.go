package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// uncovered returns a header that a signature must cover and does not, or "". AWS requires the host and every x-amz
// header; this package requires those of them that have a meaning to the local stack.
func (c claim) uncovered(header http.Header) string {
	for _, name := range [...]string{"host", "x-amz-date", "x-amz-security-token", "x-amz-target", "x-amz-tenant-id"} {
		if (name == "host" || header.Get(name) != "") && !listed(c.headers, name) {
			return name
		}
	}
	return ""
}

// listed reports whether a list separated by ";" has a name.
func listed(names, name string) bool {
	for one := range strings.SplitSeq(names, ";") {
		if one == name {
			return true
		}
	}
	return false
}

// canonical appends the canonical request of AWS's specification: method, path, query, the signed headers and the hash
// of the body.
func canonical(b []byte, r *http.Request, headers string, body []byte) []byte {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	b = append(append(b, r.Method...), '\n')
	b = append(appendEscaped(b, path), '\n') // escaped twice: the path is as the caller has escaped it
	b = append(append(b, sorted(query)...), '\n')
	for name := range strings.SplitSeq(headers, ";") {
		b = append(append(b, name...), ':')
		switch name {
		case "host":
			b = appendValue(b, r.Host)
		case "content-length":
			b = strconv.AppendInt(b, r.ContentLength, 10)
		default:
			for i, value := range r.Header.Values(name) {
				if i > 0 {
					b = append(b, ',')
				}
				b = appendValue(b, value)
			}
		}
		b = append(b, '\n')
	}
	b = append(append(append(b, '\n'), headers...), '\n')
	sum := sha256.Sum256(body)
	return hex.AppendEncode(b, sum[:])
}

// sorted returns a query with its escaped parameters in order of their names, and then of their values.
func sorted(query string) string {
	if query == "" {
		return ""
	}
	const equals = "\x00" // sorts before every other character, so that a name precedes its continuations

	// ParseQuery leaves out invalid parameters, so the signature of such a query differs.
	parameters, _ := url.ParseQuery(query)
	var pairs []string
	for name, values := range parameters {
		for _, value := range values {
			pair := url.QueryEscape(name) + equals + url.QueryEscape(value)
			pairs = append(pairs, strings.ReplaceAll(pair, "+", "%20"))
		}
	}
	slices.Sort(pairs)
	return strings.ReplaceAll(strings.Join(pairs, "&"), equals, "=")
}

// appendEscaped appends a path in which every byte is escaped that is neither unreserved nor a slash.
func appendEscaped(b []byte, path string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(path) {
		c := path[i]
		if 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~/", c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// appendValue appends a header's value without outer spaces, and with one space for several inside.
func appendValue(b []byte, value string) []byte {
	value = strings.TrimSpace(value)
	for i := range len(value) {
		if value[i] != ' ' || value[i-1] != ' ' {
			b = append(b, value[i])
		}
	}
	return b
}

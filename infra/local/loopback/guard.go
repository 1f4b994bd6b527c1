package loopback

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// guard rejects requests that a web page in this machine's browser sends to a server other than its own.
//
// A page of another site can send requests to 127.0.0.1. With DNS rebinding, where the page's own host name resolves to
// this machine, it can even read the responses. Browsers state a request's origin in the headers Host, Origin and
// Sec-Fetch-Site, which a page cannot change. Programs other than browsers send no Origin and no Sec-Fetch-Site.
type guard struct{ c Config }

// ServeHTTP rejects a request or passes it to the handler.
func (g guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.c.MaxHead > 0 && headSize(r) > g.c.MaxHead {
		g.c.Log(fmt.Sprintf("refused %s from %s: its head has more than %d bytes", r.Method, r.RemoteAddr, g.c.MaxHead))
		http.Error(w, "Request Header Fields Too Large", http.StatusRequestHeaderFieldsTooLarge)
		return
	}
	if why := g.refusal(r); why != "" {
		g.c.Log(fmt.Sprintf("refused %s %q from %s: %s", r.Method, r.URL.Path, r.RemoteAddr, why))
		http.Error(w, "Refused: "+why+". This server answers programs on this machine and the pages of its own stack. "+
			"Open it by the address that make run prints.", http.StatusForbidden)
		return
	}
	g.c.Handler.ServeHTTP(w, r)
}

// refusal returns the reason why a request is rejected, or "".
func (g guard) refusal(r *http.Request) string {
	if !ownName(r.Host) {
		return fmt.Sprintf("the Host %q is not a name of this machine", r.Host)
	}
	origins, sites := r.Header.Values("Origin"), r.Header.Values("Sec-Fetch-Site")
	switch {
	case len(origins) > 1:
		return "the request has two Origin headers"
	case len(origins) == 1:
		if origins[0] != "http://"+r.Host && !slices.Contains(g.c.Origins, origins[0]) {
			return fmt.Sprintf("the Origin %q is not allowed", origins[0])
		}
		return ""
	case g.opens(r):
		return ""
	}
	for _, site := range sites {
		if site != "same-origin" && site != "none" {
			return fmt.Sprintf("the request comes from a page of another site or port (Sec-Fetch-Site: %q)", site)
		}
	}
	return ""
}

// opens reports whether the request is a navigation to a page that other sites may link to.
func (g guard) opens(r *http.Request) bool {
	return r.Method == http.MethodGet && g.c.Opens != nil && r.Header.Get("Sec-Fetch-Mode") == "navigate" &&
		r.Header.Get("Sec-Fetch-Dest") == "document" && g.c.Opens(r.URL.Path)
}

// ownName reports whether a Host header names this machine. Any port is accepted, because ports can be forwarded.
func ownName(host string) bool {
	name, port, _ := strings.Cut(host, ":")
	if strings.Trim(port, "0123456789") != "" {
		return false
	}
	return name == "127.0.0.1" || strings.EqualFold(name, "localhost")
}

// headSize returns the size in bytes of the request line and the headers, including line ends and the empty line.
func headSize(r *http.Request) int {
	size := len(r.Method) + len(" ") + len(r.RequestURI) + len(" ") + len(r.Proto) + len("\r\n")
	size += len("Host: ") + len(r.Host) + len("\r\n")
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(": ") + len(value) + len("\r\n")
		}
	}
	return size + len("\r\n")
}

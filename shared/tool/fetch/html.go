package fetch

import (
	"html"
	"slices"
	"strings"
)

// maxLink bounds the bytes of a link's address in a text.
const maxLink = 300

// textOf returns what a person reads of an HTML page: its text with line breaks, headings, list items and links. It
// reads each byte a fixed number of times, whatever the page holds.
func textOf(page string) string {
	w := &writer{}
	for page != "" {
		at := strings.IndexByte(page, '<')
		if at < 0 {
			w.text(page)
			break
		}
		w.text(page[:at])
		page = page[at:]
		switch {
		case strings.HasPrefix(page, "<!--"):
			page = after(page[4:], "-->")
		case len(page) > 1 && (page[1] == '!' || page[1] == '?'):
			page = after(page, ">")
		case len(page) > 1 && (page[1] == '/' || isLetter(page[1])):
			name, attributes, rest := element(page)
			page = rest
			if slices.Contains(unread(), name) && (name != "svg" || !strings.HasSuffix(attributes, "/")) {
				page = after(foldedAfter(page, "</"+name), ">")
				continue
			}
			w.tag(name, attributes)
		default:
			w.text("<")
			page = page[1:]
		}
	}
	return strings.TrimSpace(w.b.String())
}

// unread returns the elements whose content a person does not read.
func unread() []string {
	return []string{"script", "style", "template", "noscript", "svg", "iframe", "object", "select", "textarea"}
}

// after returns the text after the first occurrence of an end, or nothing if there is none.
func after(s, end string) string {
	_, rest, _ := strings.Cut(s, end)
	return rest
}

// foldedAfter is after with an end in lower-case ASCII letters, which may be written in upper case.
func foldedAfter(s, end string) string {
	for at := 0; ; at++ {
		next := strings.IndexByte(s[at:], end[0])
		if next < 0 {
			return ""
		}
		if at += next; len(s)-at < len(end) {
			return ""
		}
		if strings.EqualFold(s[at:at+len(end)], end) {
			return s[at+len(end):]
		}
	}
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// element splits the tag with which a page begins into its name in lower case, with a slash before an end tag's, its
// attributes, and what follows. A tag without an end is the rest of the page.
func element(page string) (name, attributes, rest string) {
	end, quote, last := len(page), byte(0), byte(0)
	for i := 1; i < len(page) && end == len(page); i++ {
		switch c := page[i]; {
		case quote != 0:
			if c == quote {
				quote, last = 0, c
			}
		case c == '>':
			end = i
		case (c == '"' || c == '\'') && last == '=':
			quote = c
		case c != ' ' && c != '\n' && c != '\t' && c != '\r':
			last = c
		}
	}
	tag := page[1:end]
	rest = page[min(end+1, len(page)):]
	stop := strings.IndexFunc(tag, func(c rune) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' })
	if stop < 0 {
		stop = len(tag)
	}
	name, slash := strings.CutSuffix(strings.ToLower(tag[:stop]), "/")
	if slash {
		return name, "/", rest
	}
	return name, tag[stop:], rest
}

// writer collects the text of a page.
type writer struct {
	b     strings.Builder
	lines int    // line breaks at the end, up to two
	space bool   // white space is due before the next word
	pre   bool   // white space counts
	link  string // the address of the open link
}

// text adds a text of the page.
func (w *writer) text(s string) {
	s = html.UnescapeString(s)
	if w.pre {
		w.put(s)
		return
	}
	for i, word := range strings.Fields(s) {
		w.space = w.space || i > 0 || strings.TrimLeft(s, " \t\r\n\f\u00a0") != s
		w.put(word)
	}
	w.space = w.space || strings.TrimRight(s, " \t\r\n\f\u00a0") != s
}

// put writes a text, behind the white space that is due.
func (w *writer) put(s string) {
	if s == "" {
		return
	}
	if w.space && w.lines == 0 && w.b.Len() > 0 {
		w.b.WriteByte(' ')
	}
	w.b.WriteString(s)
	w.space, w.lines = false, 0
}

// breaks ends the line, and leaves so many line breaks at least.
func (w *writer) breaks(n int) {
	for ; w.lines < n && w.b.Len() > 0; w.lines++ {
		w.b.WriteByte('\n')
	}
	w.space = false
}

// tag adds what a tag means to a reader.
func (w *writer) tag(name, attributes string) {
	plain := strings.TrimPrefix(name, "/")
	begins := plain == name
	switch plain {
	case "br", "tr", "dt", "dd", "div", "option":
		w.breaks(1)
	case "p", "ul", "ol", "dl", "table", "blockquote", "section", "article", "header", "footer", "nav", "main", "aside",
		"figure", "form", "title", "hr":
		w.breaks(2)
	case "h1", "h2", "h3", "h4", "h5", "h6":
		w.breaks(2)
		if begins {
			w.put(strings.Repeat("#", int(plain[1]-'0')) + " ")
		}
	case "li":
		w.breaks(1)
		if begins {
			w.put("- ")
		}
	case "td", "th":
		w.space = true
	case "pre":
		w.breaks(2)
		w.pre = begins
	case "img":
		if alt := attribute(attributes, "alt"); alt != "" {
			w.text(" [" + alt + "] ")
		}
	case "a":
		w.anchor(begins, attribute(attributes, "href"))
	}
}

// anchor begins or ends a link, whose address follows its text.
func (w *writer) anchor(begins bool, address string) {
	if w.link != "" {
		w.put(" (" + w.link + ")")
		w.link = ""
	}
	usable := strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "/")
	if begins && usable && len(address) <= maxLink {
		w.link = address
	}
}

// attribute returns the value of an attribute in quotes, or "".
func attribute(attributes, name string) string {
	for rest := attributes; ; {
		rest = foldedAfter(rest, name+"=")
		if rest == "" {
			return ""
		}
		before := attributes[:len(attributes)-len(rest)-len(name)-1]
		if quote := rest[0]; (quote == '"' || quote == '\'') && (before == "" || before[len(before)-1] <= ' ') {
			value, _, _ := strings.Cut(rest[1:], rest[:1])
			return html.UnescapeString(value)
		}
	}
}

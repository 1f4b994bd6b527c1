package fetch

import "testing"

func TestTextOf(t *testing.T) {
	for page, want := range map[string]string{
		"<!DOCTYPE html><html><head><title>The &amp; page</title><style>p{}</style></head><body>" +
			"<h1>Head <em>line</em></h1>\n<p>One\n   two.<br>Three" +
			"<SCRIPT>if (a < b) document.write('</p>')</SCRIPT> four.</p><!-- <p>hidden</p> -->after": "" +
			"The & page\n\n# Head line\n\nOne two.\nThree four.\n\nafter",
		"<ul><li>a</li><li><a href=\"/b?x=1&amp;y=2\">b</a></li></ul>":                "- a\n- b (/b?x=1&y=2)",
		"<a href='https://example.com/>'>x</a> <a href='javascript:y'>y</a> <a>z</a>": "x (https://example.com/>) y z",
		"<table><tr><th>n</th><td>1</td></tr><tr><td>2</td></tr></table>":             "n 1\n2",
		"<pre>a\n  b</pre>c":             "a\n  b\n\nc",
		"1 < 2 &lt;b&gt; <b>3</b>4<br/>": "1 < 2 <b> 34",
		`<img alt="a cat" src=x><img data-alt="no"><svg/>seen<svg><text>no</text></svg>`: "[a cat] seen",
		"<p>cut <b":         "cut",
		"<p don't>text</p>": "text",
		"":                  "",
	} {
		if got := textOf(page); got != want {
			t.Errorf("%s\nis read as %q, want %q", page, got, want)
		}
	}
}

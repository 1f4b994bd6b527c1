package lambda_test

import (
	"fmt"
	"testing"

	"carrel/infra/local/lambda"
)

// A function that keeps the last caller's words in memory shows them to the next one, unless that is another tenant: then
// it has a process of its own.
func TestAWarmGlobal(t *testing.T) {
	t.Attr("row", "B6: a leftover in memory, with and without tenant isolation")
	tenants := []string{"ann", "ben", "ann", "cleo", "ben"}
	leaks := func(function lambda.Function) (foreign, own int) {
		c := client(startWith(t, function))
		said := map[string]string{}
		for i, who := range tenants {
			words := fmt.Sprintf("words %d of %s", i, who)
			tenant := ""
			if function.PerTenant {
				tenant = who
			}
			out, err := c.Invoke(t.Context(), input(function.Name, tenant, fmt.Sprintf(`{"Do":"say","Said":%q}`, words)))
			if err != nil {
				t.Fatal(err)
			}
			switch before := parse(t, out.Payload).Before; before {
			case "":
			case said[who]:
				own++
			default:
				foreign++
			}
			said[who] = words
		}
		return foreign, own
	}
	foreign, own := leaks(perTenant("tenants"))
	if foreign != 0 || own != 2 {
		t.Errorf("with tenant isolation %d answers of %d held another's words and %d the caller's own, want 0 and 2", foreign, len(tenants), own)
	}
	shared, _ := leaks(plain("shared"))
	if shared != 4 {
		t.Errorf("without tenant isolation %d answers of %d held another's words, want 4: the function does not do what the test is about",
			shared, len(tenants))
	}
	t.Attr("figure", fmt.Sprintf("%d of %d answers with another's words, %d without tenant isolation", foreign, len(tenants), shared))
}

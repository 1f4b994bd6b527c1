package lambda_test

import (
	"fmt"
	"testing"

	"carrel/infra/local/lambda"
)

// A function that keeps the last caller's text in memory returns it to the next caller. With tenant isolation the next
// caller of another tenant has another process and does not get it.
func TestPerTenant_WarmMemory(t *testing.T) {
	t.Attr("row", "B6: a leftover in memory, with and without tenant isolation")
	tenants := []string{"ann", "ben", "ann", "cleo", "ben"}
	leaks := func(function lambda.Function) (foreign, own int) {
		c := client(startWith(t, function))
		texts := map[string]string{}
		for i, caller := range tenants {
			text := fmt.Sprintf("text %d of %s", i, caller)
			tenant := ""
			if function.PerTenant {
				tenant = caller
			}
			event := fmt.Sprintf(`{"Do":"say","Text":%q}`, text)
			out, err := c.Invoke(t.Context(), input(function.Name, tenant, event))
			if err != nil {
				t.Fatal(err)
			}
			switch previous := parse(t, out.Payload).Previous; previous {
			case "":
			case texts[caller]:
				own++
			default:
				foreign++
			}
			texts[caller] = text
		}
		return foreign, own
	}
	foreign, own := leaks(perTenant("tenants"))
	if foreign != 0 || own != 2 {
		t.Errorf("with tenant isolation %d responses of %d held another caller's text and %d the caller's own, want "+
			"0 and 2",
			foreign, len(tenants), own)
	}
	shared, _ := leaks(plain("shared"))
	if shared != 4 {
		t.Errorf("without tenant isolation %d responses of %d held another caller's text, want 4: the test function "+
			"does "+
			"not keep texts", shared, len(tenants))
	}
	t.Attr("figure", fmt.Sprintf("%d of %d responses with another caller's text, %d without tenant isolation", foreign,
		len(tenants), shared))
}

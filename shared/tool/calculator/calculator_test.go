package calculator_test

import (
	"context"
	"math/big"
	"strings"
	"testing"

	"carrel/shared/chat/chattest"
	"carrel/shared/tool"
	"carrel/shared/tool/calculator"
	"carrel/shared/usercontext"
)

func TestEvaluate(t *testing.T) {
	for _, c := range []struct{ expression, want string }{
		{"2+2", "4"},
		{" 12 * (3 + 4) ", "84"},
		{"0.1+0.2", "0.3"},
		{"1-1", "0"},
		{"0*-5", "0"},
		{"-2^2", "-4"},
		{"(-2)^2", "4"},
		{"2^3^2", "512"},
		{"2^-1", "0.5"},
		{"2^2.0", "4"},
		{"--3", "3"},
		{"2--3", "5"},
		{"2*-3", "-6"},
		{"10-4-3", "3"},
		{"100/10/5", "2"},
		{"2+3*4^2/8", "8"},
		{".5+1.", "1.5"},
		{"2.50*2", "5"},
		{"100*10", "1000"},
		{"1/8", "0.125"},
		{"3 × 4 − 6 ÷ 2", "9"},
		{"0^5", "0"},
		{"7^0", "1"},
		{"2^200", "1606938044258990275541962092341162602522202993782792835301376"},
		{"2^200 - 2^200 + 1", "1"},
		{"1/3", "≈ 0.3333333333333333333333333333333333 (rounded to 34 digits)"},
		{"2/3*3", "2"},
		{"(1/3*3-1)*10^1000", "0"},
		{"10^1000+1-10^1000", "1"},
		{"(1+10^-999)^2-1-2*10^-999", "0." + strings.Repeat("0", 1997) + "1"},
		{"-2/3", "≈ -0.6666666666666666666666666666666667 (rounded to 34 digits)"},
		{"10^-60/7", "≈ 1.428571428571428571428571428571429E-61 (rounded to 34 digits)"},
		{"(10^900*10^200-1)/(10^900*10^200)", "≈ 1 (rounded to 34 digits)"},
		{"10^1000*10^500", "1" + strings.Repeat("0", 1500)},
		{"1.005^1000*0.5", "≈ 73.28781280555385727998545506538111 (rounded to 34 digits)"},
		{"2^100/3", "≈ 422550200076076467165567735125.3333 (rounded to 34 digits)"},
		{"10^60/7", "≈ 1.428571428571428571428571428571429E+59 (rounded to 34 digits)"},
		{"1.1^900", ""}, // exact, 900 decimals: checked below
		{"1.1^1000", ""},
	} {
		got, err := calculator.Evaluate(c.expression)
		if err != nil || c.want != "" && got != c.want {
			t.Errorf("%s = %s, %v; want %s", c.expression, got, err, c.want)
		}
	}
	got, _ := calculator.Evaluate("1.1^900")
	if want := new(big.Int).Exp(big.NewInt(11), big.NewInt(900), nil).String(); strings.Replace(got, ".", "",
		1) != want {
		t.Errorf("1.1^900 = %s, want the digits %s", got, want)
	}
}

func TestEvaluate_RefusalNamesPosition(t *testing.T) {
	for _, c := range []struct{ expression, want string }{
		{"", "the expression is empty"},
		{" \n", "the expression is empty"},
		{"2+", "ends too early: expected a number"},
		{"2+*3", `unexpected '*' at position 3`},
		{"+2", `unexpected '+' at position 1`},
		{"2(3)", `unexpected '(' at position 2`},
		{"(1+2", "the ( at position 1 is not closed"},
		{"1+2)", `unexpected ')' at position 4: expected an operator or the end`},
		{"()", `unexpected ')' at position 2: expected a number`},
		{"1,000+1", "without thousands separators"},
		{"10%", "percent is not supported"},
		{"7 % 4", "percent is not supported"},
		{"1e5", `unexpected 'e' at position 2`},
		{"0x10", `unexpected 'x' at position 2`},
		{"1.2.3", `unexpected '.' at position 4`},
		{".", `unexpected '.' at position 1`},
		{"sqrt(4)", `unexpected 's' at position 1`},
		{"∞+1", `unexpected '∞' at position 1`},
		{"ä + 1", `unexpected 'ä' at position 1`},
		{"2 + ä", `unexpected 'ä' at position 5`},
		{"1/0", "division by zero at position 2"},
		{"1/(2-2)", "division by zero at position 2"},
		{"0^-1", "division by zero at position 2"},
		{"0^0", "0^0 is not defined"},
		{"2^0.5", "an exponent must be a whole number"},
		{"2^1001", "an exponent must be a whole number from -1000 to 1000"},
		{"9^9^9", "an exponent must be a whole number"},
		{"(9^1000)^1000", "too large or too small"},
		{"(9^-1000)^1000", "too large or too small"},
		{"(1+10^-400)^1000", "cannot be computed exactly"},
		{strings.Repeat("1", 501), "has 501 characters, the limit is 500"},
		{strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200), "nested too deeply at position 51"},
		{strings.Repeat("-", 200) + "1", "nested too deeply"},
		{strings.Repeat("2^", 200) + "1", "nested too deeply"},
	} {
		got, err := calculator.Evaluate(c.expression)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q = %s, %v; want an error with %q", c.expression, got, err, c.want)
		}
	}
}

func TestNew(t *testing.T) {
	made, err := calculator.New()
	if err != nil {
		t.Fatal(err)
	}
	registry, err := tool.NewRegistry(made)
	if err != nil {
		t.Fatal(err)
	}
	uc, err := usercontext.New(context.Background(), usercontext.Config{
		User: chattest.User(t, "alice"), Thread: "t", Run: "r", Request: "q", Grants: []string{calculator.Name},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer uc.Close(context.Background())
	d, err := tool.NewDispatcher(uc, registry, []string{calculator.Name})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		arguments string
		want      tool.Result
	}{
		{`{"expression":"12*(3+4)"}`, tool.Result{Outcome: tool.OK, Content: "84"}},
		{`{"expression":"1/0"}`, tool.Result{Outcome: tool.Failed, Content: "division by zero at position 2"}},
	} {
		if got := d.Call(uc.Context(), tool.Call{Name: calculator.Name, Arguments: c.arguments}); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.arguments, got, c.want)
		}
	}
}

// FuzzEvaluate checks that no expression causes a panic, that results are bounded, and that an exact result evaluates
// to itself.
func FuzzEvaluate(f *testing.F) {
	for _, seed := range []string{"2+2", "-(1.5^3)/7", "2^-3^2", "((1))", "1,5", "9^999", "÷", "0.000001^300*10^900"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		got, err := calculator.Evaluate(expression)
		if err != nil {
			if err.Error() == "" || len(err.Error()) > 300 {
				t.Errorf("%q: the error is %q", expression, err)
			}
			return
		}
		if len(got) > 4100 {
			t.Errorf("%q: a result of %d bytes", expression, len(got))
		}
		if len(got) > 400 || strings.HasPrefix(got, "≈") {
			return
		}
		if again, err := calculator.Evaluate(got); err != nil || again != got {
			t.Errorf("%q = %q, which is %q, %v", expression, got, again, err)
		}
	})
}

package calculator

import (
	"fmt"
	"math"
	"math/big"
	"strings"
)

const (
	exactDigits   = 1000    // a result with at most so many significant digits is written in full
	roundedDigits = 34      // the digits of any other result, as in IEEE 754 decimal128
	maxExponent   = 2000    // magnitude: values are below 10^2000, and zero or above 10^-2000
	maxBits       = 1 << 17 // for a fraction's numerator and denominator: about 39,000 digits each
	maxPower      = 1000
)

// refusal is the reason why an expression is not calculated, written for its author.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	errDivision = refusal("division by zero")
	errTooLarge = refusal("the result is too large or too small to be calculated")
	errTooLong  = refusal("the result has too many digits: it cannot be computed exactly")
	errPower    = refusal("an exponent must be a whole number from -1000 to 1000")
	errZeroZero = refusal("0^0 is not defined")
)

// apply computes with fractions. They are exact, so all digits of the difference of two nearly equal numbers are right.
func apply(operator rune, x, y *big.Rat) (*big.Rat, error) {
	z := new(big.Rat)
	switch operator {
	case '+':
		z.Add(x, y)
	case '-':
		z.Sub(x, y)
	case '*':
		z.Mul(x, y)
	case '/':
		if y.Sign() == 0 {
			return nil, errDivision
		}
		z.Quo(x, y)
	case '^':
		return power(x, y)
	default:
		return nil, fmt.Errorf("unknown operator %q", operator)
	}
	return bounded(z)
}

// bounded refuses a value that is too large, too small or too long for further computation.
func bounded(x *big.Rat) (*big.Rat, error) {
	if x.Sign() != 0 && math.Abs(magnitude(x)) > maxExponent {
		return nil, errTooLarge
	}
	if x.Num().BitLen() > maxBits || x.Denom().BitLen() > maxBits {
		return nil, errTooLong
	}
	return x, nil
}

// magnitude approximates the logarithm of x to the base 10, with an error below 1.
func magnitude(x *big.Rat) float64 {
	return float64(x.Num().BitLen()-x.Denom().BitLen()) * math.Log10(2)
}

func power(x, y *big.Rat) (*big.Rat, error) {
	if !y.IsInt() || !y.Num().IsInt64() || y.Num().Int64() < -maxPower || y.Num().Int64() > maxPower {
		return nil, errPower
	}
	n := y.Num().Int64()
	switch {
	case x.Sign() == 0 && n == 0:
		return nil, errZeroZero
	case x.Sign() == 0 && n < 0:
		return nil, errDivision
	case n < 0:
		x, n = new(big.Rat).Inv(x), -n
	}
	if x.Sign() != 0 && math.Abs(magnitude(x))*float64(n) > 2*maxExponent {
		return nil, errTooLarge
	}
	num, den := x.Num(), x.Denom()
	if n*int64(max(num.BitLen(), den.BitLen())) > 2*maxBits {
		return nil, errTooLong // checked before the slow computation
	}
	exponent := big.NewInt(n)
	return bounded(new(big.Rat).SetFrac(new(big.Int).Exp(num, exponent, nil), new(big.Int).Exp(den, exponent, nil)))
}

// text formats a result. A result with a finite decimal form of at most exactDigits digits is written in full. Any
// other result has 34 digits and a mark that it is rounded.
func text(value *big.Rat) string {
	if decimals, exact := value.FloatPrec(); exact {
		whole := value.FloatString(decimals)
		if len(strings.Trim(strings.NewReplacer("-", "", ".", "").Replace(whole), "0")) <= exactDigits {
			return whole
		}
	}
	digits, exponent := rounded(new(big.Rat).Abs(value))
	sign := ""
	if value.Sign() < 0 {
		sign = "-"
	}
	return fmt.Sprintf("≈ %s%s (rounded to %d digits)", sign, decimal(digits, exponent), roundedDigits)
}

// rounded returns the first 34 digits of a positive value, rounded half to even and without trailing zeros, and the
// power of ten of the last digit.
func rounded(value *big.Rat) (digits string, exponent int) {
	ten, least := big.NewInt(10), pow10(roundedDigits-1)
	for exponent = int(math.Floor(magnitude(value))) - roundedDigits; ; exponent++ {
		num, den := new(big.Int).Set(value.Num()), new(big.Int).Set(value.Denom())
		if exponent < 0 {
			num.Mul(num, pow10(-exponent))
		} else {
			den.Mul(den, pow10(exponent))
		}
		mantissa, rest := num.QuoRem(num, den, new(big.Int))
		if mantissa.Cmp(new(big.Int).Mul(least, ten)) >= 0 {
			continue // rounding has added a digit
		}
		if half := rest.Lsh(rest, 1).Cmp(den); half > 0 || half == 0 && mantissa.Bit(0) == 1 {
			mantissa.Add(mantissa, big.NewInt(1))
		}
		all := mantissa.String()
		digits = strings.TrimRight(all, "0")
		return digits, exponent + len(all) - len(digits)
	}
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// decimal formats digits whose last one has the power of ten exponent: in full, or as 1.5E+60 if that needs fewer
// zeros.
func decimal(digits string, exponent int) string {
	point := len(digits) + exponent // the number of digits before the point
	switch {
	case point > roundedDigits || point < -roundedDigits:
		mantissa := digits[:1]
		if len(digits) > 1 {
			mantissa += "." + digits[1:]
		}
		return fmt.Sprintf("%sE%+d", mantissa, point-1)
	case exponent >= 0:
		return digits + strings.Repeat("0", exponent)
	case point > 0:
		return digits[:point] + "." + digits[point:]
	}
	return "0." + strings.Repeat("0", -point) + digits
}

package mode

import (
	"fmt"
	"regexp"
	"strconv"
)

// price is what an hour of one compute unit costs. The zero value is not known.
type price struct {
	text          string // as it was given; empty: not known
	amount        float64
	before, after string // the currency, as it was given
}

var priceForm = regexp.MustCompile(`^([^\d\s.,+-]{0,4} ?)(\d+(?:\.\d+)?)( ?[^\d\s.,+-]{0,4})$`)

// parsePrice reads a number with a currency before or after it.
func parsePrice(text string) (price, error) {
	m := priceForm.FindStringSubmatch(text)
	if m == nil || m[1] != "" && m[3] != "" {
		return price{}, fmt.Errorf("%q is not a price of one compute hour; write a number with or without a currency, such "+
			"as $0.106 or 0.106 EUR", text)
	}
	amount, err := strconv.ParseFloat(m[2], 64)
	if err != nil {
		return price{}, fmt.Errorf("%q is not a price: %w", text, err)
	}
	return price{text: text, amount: amount, before: m[1], after: m[3]}, nil
}

// cost says what some hours of one compute unit come to: "208.3 compute hours ($22.08)".
func (p price) cost(hours float64) string {
	text := strconv.FormatFloat(hours, 'f', 1, 64) + " compute hours"
	if hours < 0.1 {
		text = strconv.FormatFloat(hours, 'f', 3, 64) + " compute hours"
	}
	if p.text == "" {
		return text
	}
	return fmt.Sprintf("%s (%s%.2f%s)", text, p.before, hours*p.amount, p.after)
}

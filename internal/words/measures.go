package words

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Size writes a number of bytes with three to four digits, in decimal units as disks and object stores are sold: "512
// bytes", "12.3 MB", "5 TB".
func Size(bytes int64) string {
	if -1000 < bytes && bytes < 1000 {
		return Count(int(bytes), "byte", "bytes")
	}
	value, units := float64(bytes)/1000, []string{"kB", "MB", "GB", "TB"}
	for math.Abs(value) >= 999.95 && len(units) > 1 { // which would round to 1000.0
		value, units = value/1000, units[1:]
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0") + " " + units[0]
}

// Duration rounds a duration to what people read, at most two units: "12ms", "4.2s", "48s", "3m07s", "1h05m", "2d03h".
// A second unit that is zero is left out. Negative durations, which a clock that was set back measures, are "0ms".
func Duration(d time.Duration) string {
	switch {
	case d <= 0:
		return "0ms"
	case d < time.Millisecond:
		return "<1ms"
	case d.Round(time.Millisecond) < time.Second:
		return fmt.Sprintf("%dms", d.Round(time.Millisecond).Milliseconds())
	case d.Round(100*time.Millisecond) < 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Round(100*time.Millisecond).Seconds()), ".0") + "s"
	case d.Round(time.Second) < time.Hour:
		return twoUnits(d, time.Minute, "m", time.Second, "s")
	case d.Round(time.Minute) < 24*time.Hour:
		return twoUnits(d, time.Hour, "h", time.Minute, "m")
	default:
		return twoUnits(d, 24*time.Hour, "d", time.Hour, "h")
	}
}

// twoUnits rounds d to the smaller unit and leaves out the unit of which there is none.
func twoUnits(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	d = d.Round(small)
	whole, rest := d/large, d%large/small
	switch {
	case whole == 0:
		return fmt.Sprintf("%d%s", rest, smallName)
	case rest == 0:
		return fmt.Sprintf("%d%s", whole, largeName)
	default:
		return fmt.Sprintf("%d%s%02d%s", whole, largeName, rest, smallName)
	}
}

// Setting writes a duration exactly, as one sets it in an input: "30m", "49h" and "30d", where [time.Duration.String]
// writes "30m0s", "49h0m0s" and "720h0m0s".
func Setting(d time.Duration) string {
	const day = 24 * time.Hour
	if d > day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

package settings

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parse reads text into v, which is settable and of a scalar type.
func parse(v reflect.Value, text string) error {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration; write it like 30s or 5m", text)
		}
		v.SetInt(int64(d))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		v.SetBool(b)
	case reflect.Slice:
		return parseList(v, text)
	case reflect.Map:
		return parsePairs(v, text)
	default:
		return parseNumber(v, text)
	}
	return nil
}

func parseList(v reflect.Value, text string) error {
	list := reflect.MakeSlice(v.Type(), 0, 4)
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if err := parse(item, part); err != nil {
			return err
		}
		list = reflect.Append(list, item)
	}
	v.Set(list)
	return nil
}

// parsePairs reads key=value,key=value. A text with a comma in it is for the
// file.
func parsePairs(v reflect.Value, text string) error {
	pairs := reflect.MakeMap(v.Type())
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok || key == "" {
			return fmt.Errorf("%q is not of the form key=value", part)
		}
		at := reflect.ValueOf(key).Convert(v.Type().Key())
		if pairs.MapIndex(at).IsValid() {
			return fmt.Errorf("%q is given twice", key)
		}
		pairs.SetMapIndex(at, reflect.ValueOf(value).Convert(v.Type().Elem()))
	}
	v.Set(pairs)
	return nil
}

func parseNumber(v reflect.Value, text string) error {
	bits := v.Type().Bits()
	switch {
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, bits)
		if err != nil {
			return fmt.Errorf("%q is not a whole number of %d bits", text, bits)
		}
		v.SetInt(n)
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, bits)
		if err != nil {
			return fmt.Errorf("%q is not a whole number from 0, of %d bits", text, bits)
		}
		v.SetUint(n)
	default:
		f, err := strconv.ParseFloat(text, bits)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		v.SetFloat(f)
	}
	return nil
}

// format is the inverse of parse; nothing for tables.
func format(v reflect.Value) string {
	if !v.IsValid() || !scalar(v.Type(), true) {
		return ""
	}
	switch value := v.Interface().(type) {
	case time.Duration:
		if value == 0 {
			return ""
		}
		return value.String()
	case encoding.TextMarshaler:
		text, err := value.MarshalText()
		if err != nil {
			return ""
		}
		return string(text)
	}
	if v.Kind() == reflect.Map {
		return formatPairs(v)
	}
	if v.Kind() != reflect.Slice {
		return fmt.Sprint(v.Interface())
	}
	parts := make([]string, v.Len())
	for i := range parts {
		parts[i] = format(v.Index(i))
	}
	return strings.Join(parts, ",")
}

// formatPairs is the inverse of parsePairs, in order.
func formatPairs(v reflect.Value) string {
	parts := make([]string, 0, v.Len())
	for key, value := range v.Seq2() {
		parts = append(parts, key.String()+"="+value.String())
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

#include "model_file/json.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "system/failure.h"

namespace panna_plus {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string quoted(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20 && byte < 0x7f) return std::string("'") + c + "'";
  char text[16];
  std::snprintf(text, sizeof text, "byte 0x%02x", static_cast<unsigned>(byte));
  return text;
}

void append_utf8(std::string &out, std::uint32_t code) {
  auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

/// Length of the valid UTF-8 sequence at `at`, 0 if there is none.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  auto byte = [&](std::size_t k) -> unsigned {
    return at + k < text.size() ? static_cast<unsigned char>(text[at + k]) : 0u;
  };
  auto tail = [&](std::size_t k) { return (byte(k) & 0xc0) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0, surrogate = first == 0xed && byte(1) > 0x9f;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool overlong = first == 0xf0 && byte(1) < 0x90, beyond = first == 0xf4 && byte(1) > 0x8f;
    return tail(1) && tail(2) && tail(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

class Parser {
 public:
  Parser(std::string_view text, const std::string &what, JsonLimits limits)
      : text_(text), what_(what), limits_(limits) {}

  JsonValue document() {
    JsonValue value = parse_value(0);
    skip_blanks();
    if (at_ != text_.size()) fail("expected the end of the text after the value");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string &problem) const {
    const std::string found = at_ < text_.size() ? "found " + quoted(text_[at_]) : std::string("the text ends there");
    throw Failure(what_ + ", byte " + std::to_string(at_) + ": " + problem + ", " + found);
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_blanks() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  void expect(char c) {
    if (at_ >= text_.size() || text_[at_] != c) fail("expected " + quoted(c));
    ++at_;
  }

  bool accept(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  JsonValue parse_value(std::size_t depth) {
    if (depth > limits_.depth) fail("nested deeper than " + std::to_string(limits_.depth) + " levels");
    if (++n_values_ > limits_.values) fail("more than " + std::to_string(limits_.values) + " values");
    skip_blanks();
    JsonValue value;
    switch (peek()) {
      case '{':
        parse_object(value, depth);
        break;
      case '[':
        parse_array(value, depth);
        break;
      case '"':
        value.kind = JsonValue::Kind::string;
        value.string = parse_string();
        break;
      case 't':
        parse_word("true", value, JsonValue::Kind::boolean);
        value.boolean = true;
        break;
      case 'f':
        parse_word("false", value, JsonValue::Kind::boolean);
        break;
      case 'n':
        parse_word("null", value, JsonValue::Kind::null);
        break;
      default:
        parse_number(value);
    }
    return value;
  }

  void parse_object(JsonValue &value, std::size_t depth) {
    value.kind = JsonValue::Kind::object;
    expect('{');
    skip_blanks();
    if (accept('}')) return;
    do {
      skip_blanks();
      if (peek() != '"') fail("expected a key in double quotes");
      const std::string key = parse_string();
      skip_blanks();
      expect(':');
      if (value.members.count(key)) fail("the key \"" + key + "\" appears twice");
      value.members.emplace(key, parse_value(depth + 1));
      skip_blanks();
    } while (accept(','));
    expect('}');
  }

  void parse_array(JsonValue &value, std::size_t depth) {
    value.kind = JsonValue::Kind::array;
    expect('[');
    skip_blanks();
    if (accept(']')) return;
    do {
      value.items.push_back(parse_value(depth + 1));
      skip_blanks();
    } while (accept(','));
    expect(']');
  }

  void parse_word(std::string_view word, JsonValue &value, JsonValue::Kind kind) {
    if (text_.substr(at_, word.size()) != word) fail("expected a JSON value");
    at_ += word.size();
    value.kind = kind;
  }

  void digits() {
    if (!is_digit(peek())) fail("expected a JSON value (a number needs a digit here)");
    while (is_digit(peek())) ++at_;
  }

  void parse_number(JsonValue &value) {
    const std::size_t start = at_;
    accept('-');
    if (peek() == '0') {
      ++at_;
    } else {
      digits();
    }
    if (accept('.')) digits();
    if (accept('e') || accept('E')) {
      if (!accept('+')) accept('-');
      digits();
    }
    value.kind = JsonValue::Kind::number;
    // from_chars: independent of the locale, which the host program may have changed.
    const char *first = text_.data() + start, *last = text_.data() + at_;
    const auto result = std::from_chars(first, last, value.number);
    if (result.ec != std::errc() || result.ptr != last || !std::isfinite(value.number)) {
      fail("the number " + std::string(first, last) + " is out of range");
    }
  }

  std::uint32_t parse_hex4() {
    std::uint32_t code = 0;
    for (int k = 0; k < 4; ++k) {
      const char c = peek();
      std::uint32_t digit = 0;
      if (is_digit(c)) {
        digit = static_cast<std::uint32_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        digit = static_cast<std::uint32_t>(c - 'a') + 10;
      } else if (c >= 'A' && c <= 'F') {
        digit = static_cast<std::uint32_t>(c - 'A') + 10;
      } else {
        fail("expected four hexadecimal digits after \\u");
      }
      code = code << 4 | digit;
      ++at_;
    }
    return code;
  }

  void parse_unicode_escape(std::string &out) {
    std::uint32_t code = parse_hex4();
    if (code >= 0xdc00 && code <= 0xdfff) fail("a low surrogate without a high one");
    if (code >= 0xd800 && code <= 0xdbff) {
      if (!accept('\\') || !accept('u')) fail("a high surrogate without a low one");
      const std::uint32_t low = parse_hex4();
      if (low < 0xdc00 || low > 0xdfff) fail("a high surrogate without a low one");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    append_utf8(out, code);
  }

  void parse_escape(std::string &out) {
    static const std::string_view codes = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    if (accept('u')) return parse_unicode_escape(out);
    const std::size_t which = at_ < text_.size() ? codes.find(text_[at_]) : std::string_view::npos;
    if (which == std::string_view::npos) fail("unknown escape in a string");
    out.push_back(meanings[which]);
    ++at_;
  }

  std::string parse_string() {
    std::string out;
    expect('"');
    while (!accept('"')) {
      if (at_ >= text_.size()) fail("a string is not closed");
      if (static_cast<unsigned char>(text_[at_]) < 0x20) fail("a control character in a string");
      if (accept('\\')) {
        parse_escape(out);
        continue;
      }
      const std::size_t length = utf8_length(text_, at_);
      if (length == 0) fail("invalid UTF-8 in a string");
      out.append(text_.substr(at_, length));
      at_ += length;
    }
    return out;
  }

  std::string_view text_;
  const std::string &what_;
  JsonLimits limits_;
  std::size_t at_ = 0;
  std::size_t n_values_ = 0;
};

}  // namespace

const JsonValue *JsonValue::find(const std::string &key) const {
  const auto found = members.find(key);
  return found == members.end() ? nullptr : &found->second;
}

bool JsonValue::is_integer_between(double low, double high) const {
  return kind == Kind::number && number >= low && number <= high && number == std::floor(number);
}

std::string JsonValue::described() const {
  switch (kind) {
    case Kind::null:
      return "null";
    case Kind::boolean:
      return boolean ? "true" : "false";
    case Kind::number: {
      char text[40];
      std::snprintf(text, sizeof text, "%.17g", number);
      return text;
    }
    case Kind::string:
      return "\"" + (string.size() <= 60 ? string : string.substr(0, 57) + "...") + "\"";
    case Kind::array:
      return "a list of " + std::to_string(items.size());
    case Kind::object:
      break;
  }
  return "an object with " + std::to_string(members.size()) + " keys";
}

JsonValue parse_json(std::string_view text, const std::string &what, JsonLimits limits) {
  return Parser(text, what, limits).document();
}

}  // namespace panna_plus

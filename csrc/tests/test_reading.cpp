// JSON, checksums and safetensors: what is accepted, what is refused, and with which words.

#include <cstdint>
#include <string>
#include <vector>

#include "check.h"
#include "model_file/checksums.h"
#include "model_file/json.h"
#include "model_file/safetensors.h"

using namespace panna_plus;
using test::check;
using test::check_refused;

namespace {

const unsigned char *bytes_of(const std::string &text) { return reinterpret_cast<const unsigned char *>(text.data()); }

void test_checksums() {
  const std::string digits = "123456789";
  check(crc32(bytes_of(digits), digits.size()) == 0xcbf43926u, "check value of CRC-32");
  // FIPS 180-4 examples, and lengths around the padding boundaries.
  check(sha256(bytes_of("abc"), 3) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256(abc)");
  check(sha256(nullptr, 0) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "sha256()");
  const std::string two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  check(sha256(bytes_of(two_blocks), two_blocks.size()) ==
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        "sha256 of two blocks");
  const std::string million(1000000, 'a');
  check(sha256(bytes_of(million), million.size()) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
        "sha256 of a million a");
}

void test_json_values() {
  const JsonValue value = parse_json(
      "{\"a\": [1, -2.5e3, 0, true, false, null], \"b\": {\"c\": \"\\u00e5\\ud83d\\ude00\\n\\\"\"}, \"d\": "
      "\"\xc3\xa5\"}",
      "x");
  const JsonValue &list = *value.find("a");
  check(list.items.size() == 6 && list.items[1].number == -2500.0 && list.items[3].boolean, "list");
  check(value.find("b")->find("c")->string == "\xc3\xa5\xf0\x9f\x98\x80\n\"", "escapes");
  check(value.find("d")->string == "\xc3\xa5", "UTF-8");
  check(value.find("e") == nullptr && list.find("a") == nullptr, "absent keys");
  check(parse_json("0.1", "x").number == 0.1 && parse_json(" 1E+2 ", "x").number == 100.0, "numbers");
}

void test_json_refusals() {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "the text ends"},
      {"{\"a\": 1, \"a\": 2}", "appears twice"},
      {"[1, 2", "expected ']'"},
      {"[1,]", "expected a JSON value"},
      {"{\"a\" 1}", "expected ':'"},
      {"{a: 1}", "double quotes"},
      {"NaN", "expected a JSON value"},
      {"[Infinity]", "expected a JSON value"},
      {"01", "end of the text"},
      {"1.", "digit"},
      {"-", "digit"},
      {"1e999", "out of range"},
      {"\"a", "not closed"},
      {"\"\x01\"", "control character"},
      {"\"\\x\"", "unknown escape"},
      {"\"\\u12g4\"", "hexadecimal"},
      {"\"\\ud800\"", "surrogate"},
      {"\"\\udc00\"", "surrogate"},
      {"\"\xc3\"", "invalid UTF-8"},
      {"\"\xc0\xaf\"", "invalid UTF-8"},
      {"\"\xed\xa0\x80\"", "invalid UTF-8"},
      {"1 2", "end of the text"},
      {"tru", "expected a JSON value"},
      {std::string("[1, \0]", 6), "expected a JSON value"},
      {std::string(100000, '['), "nested deeper"},
  };
  for (const auto &[text, part] : cases) {
    check_refused("JSON " + text.substr(0, 30), part, [&text = text] { parse_json(text, "card.json"); });
  }
  std::string many = "[0";
  for (int k = 0; k < 20; ++k) many += ",0";
  check_refused("too many values", "more than 10 values", [&] { parse_json(many + "]", "x", {64, 10}); });
}

std::string block_of(const std::string &header, std::size_t n_bytes) {
  std::string block;
  for (int k = 0; k < 8; ++k) block.push_back(static_cast<char>(header.size() >> (8 * k)));
  return block + header + std::string(n_bytes, '\0');
}

void test_safetensors() {
  const std::string good =
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
      "\"b\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[24,32]},\"__metadata__\":{\"x\":\"y\"}}";
  const std::string block = block_of(good, 32);
  const auto arrays = read_safetensors(block, "weights");
  check(arrays.size() == 2 && arrays.at("a").n_values() == 6 && arrays.at("b").n_values() == 1, "safetensors arrays");
  auto entry = [](const std::string &shape, const std::string &offsets, const std::string &dtype = "F32") {
    return "{\"a\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {block.substr(0, 5), "at least 8 bytes"},
      {std::string(8, '\xff'), "the header is said to have"},
      {block_of("[]", 0), "JSON object"},
      {block_of(entry("[2]", "[0,8]"), 4), "ends at byte 8"},
      {block_of(entry("[2]", "[0,8]"), 12), "found 12"},
      {block_of(entry("[2]", "[4,12]"), 12), "overlap or hole"},
      {block_of(entry("[3]", "[0,8]"), 8), "needs 12 bytes"},
      {block_of(entry("[2]", "[8,0]"), 8), "needs 8 bytes"},
      {block_of(entry("[-2]", "[0,8]"), 8), "list of sizes"},
      {block_of(entry("[1.5]", "[0,8]"), 8), "list of sizes"},
      {block_of(entry("[100000000,100000000]", "[0,8]"), 8), "too large"},
      {block_of(entry("[2]", "[0]"), 8), "two byte positions"},
      {block_of(entry("[1]", "[0,8]", "I64"), 8), "dtype must be"},
      {block_of("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
                12),
       "overlap or hole"},
  };
  for (const auto &[text, part] : cases) {
    check_refused("safetensors, " + part, part, [&text = text] { read_safetensors(text, "weights"); });
  }
}

}  // namespace

int main() {
  test_checksums();
  test_json_values();
  test_json_refusals();
  test_safetensors();
  return test::finish("test_reading");
}

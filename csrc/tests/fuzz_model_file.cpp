// Mutates model files and reads them: every outcome must be a model or a Failure, never a crash, a leak
// or a number that is not finite. Card and weights are also mutated behind correct checksums, so that
// mutations get past them.
// Arguments: number of mutations per layer, then model files of the family panna.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "cpu/panna_reference.h"
#include "model_file/checksums.h"
#include "model_file/model_file.h"
#include "model_file/zip_directory.h"

using namespace panna_plus;

namespace {

using Random = std::mt19937;

std::size_t below(Random &random, std::size_t n) { return n == 0 ? 0 : random() % n; }

std::string little_endian(std::uint64_t value, int n) {
  std::string bytes;
  for (int k = 0; k < n; ++k) bytes.push_back(static_cast<char>(value >> (8 * k)));
  return bytes;
}

std::uint32_t crc_of(const std::string &bytes) {
  return crc32(reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size());
}

/// A zip archive of stored members with correct checksums.
std::string archive_of(const std::vector<std::pair<std::string, std::string>> &members) {
  std::string data, directory;
  for (const auto &[name, bytes] : members) {
    const std::string sizes = little_endian(crc_of(bytes), 4) + little_endian(bytes.size(), 4) +
                              little_endian(bytes.size(), 4) + little_endian(name.size(), 2);
    directory += "PK\1\2" + std::string("\x14\0\x14\0\0\0\0\0\0\0\0\0", 12) + sizes + std::string(12, '\0') +
                 little_endian(data.size(), 4) + name;
    data += "PK\3\4" + std::string("\x14\0\0\0\0\0\0\0\0\0", 10) + sizes + std::string(2, '\0') + name + bytes;
  }
  const std::string end = "PK\5\6" + std::string(4, '\0') + little_endian(members.size(), 2) +
                          little_endian(members.size(), 2) + little_endian(directory.size(), 4) +
                          little_endian(data.size(), 4) + std::string(2, '\0');
  return data + directory + end;
}

/// Flips, deletes, repeats or overwrites a few bytes; overwrites prefer numbers that break sizes.
std::string mutated(std::string bytes, Random &random) {
  static const std::vector<std::string> poison = {"\xff\xff\xff\xff",
                                                  std::string("\0\0\0\0", 4),
                                                  "-1",
                                                  "1e400",
                                                  "9999999999",
                                                  "NaN",
                                                  "null",
                                                  "[]",
                                                  "{}",
                                                  "\"",
                                                  "0",
                                                  std::string("\0\0\xc0\x7f", 4),
                                                  std::string("\0\0\0\0\0\0\xf0\x7f", 8),
                                                  "-0",
                                                  "0.5",
                                                  "]",
                                                  "}",
                                                  ","};
  for (std::size_t n = 1 + below(random, 4); n > 0; --n) {
    const std::size_t at = below(random, bytes.size()), length = 1 + below(random, 12);
    switch (below(random, 5)) {
      case 0:
        if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(random, 8)));
        break;
      case 1:
        bytes.erase(at, length);
        break;
      case 2:
        bytes.insert(at, bytes.substr(at, length));
        break;
      case 3: {
        const std::string &piece = poison[below(random, poison.size())];
        bytes.replace(at, std::min(piece.size(), bytes.size() - at), piece);
        break;
      }
      default:
        if (below(random, 8) == 0) bytes.resize(at);
    }
  }
  return bytes;
}

/// The card with the SHA-256 of these weights.
std::string with_sha(std::string card, const std::string &weights, const std::string &old) {
  const std::size_t at = card.find(old);
  const std::string now = sha256(reinterpret_cast<const unsigned char *>(weights.data()), weights.size());
  return at == std::string::npos ? card : card.replace(at, old.size(), now);
}

int n_accepted = 0;

void read(const std::string &bytes, const std::string &what) {
  try {
    const ModelFile file = ModelFile::from_bytes(bytes, "fuzzed.pt");
    build_panna_reference(file, Precision::mixed);
    ++n_accepted;
  } catch (const Failure &failure) {
    test::check(std::string(failure.what()).find("fuzzed.pt") != std::string::npos,
                what + ": the message does not name the file: " + failure.what());
  } catch (const std::exception &error) {
    test::check(false, what + ": not a Failure: " + error.what());
  }
}

void fuzz(const std::string &path, int n_mutations) {
  std::ifstream stream(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  const ModelFile file = ModelFile::from_bytes(bytes, path);
  const ZipDirectory directory(bytes, path);
  std::string weights, root;
  for (const ZipMember &member : directory.members()) {
    if (member.name.find("weights.safetensors") == std::string::npos) continue;
    weights = std::string(directory.stored_bytes(member));
    root = member.name.substr(0, member.name.find('/'));
  }
  auto packed = [&](const std::string &card, const std::string &arrays) {
    return archive_of({{root + "/extra/card.json", card}, {root + "/extra/weights.safetensors", arrays}});
  };
  read(packed(file.card_text(), weights), path);
  test::check(n_accepted > 0, path + ": the repacked file must be readable");

  std::size_t header = 8;
  for (std::size_t k = 0; k < 8; ++k) header += std::size_t(static_cast<unsigned char>(weights[k])) << (8 * k);
  Random random(11);
  for (int k = 0; k < n_mutations; ++k) {
    const std::string what = path + ", mutation " + std::to_string(k);
    read(mutated(bytes, random), what + " of the file");
    read(bytes.substr(0, below(random, bytes.size())), what + ", truncated");
    const std::string small = packed(file.card_text(), weights);
    const std::size_t tail = small.size() - below(random, 400);
    read(small.substr(0, tail) + mutated(small.substr(tail), random), what + " of the directory");
    read(packed(mutated(file.card_text(), random), weights), what + " of the card");
    const std::string broken = mutated(weights.substr(0, header), random) + weights.substr(header);
    read(packed(with_sha(file.card_text(), broken, file.weights_sha256()), broken), what + " of the header");
    const std::string noisy = weights.substr(0, header) + mutated(weights.substr(header), random);
    read(packed(with_sha(file.card_text(), noisy, file.weights_sha256()), noisy), what + " of the arrays");
  }
}

}  // namespace

int main(int n, char **arguments) {
  for (int k = 2; k < n; ++k) fuzz(arguments[k], std::atoi(arguments[1]));
  std::printf("%d mutants were readable\n", n_accepted);
  return test::finish("fuzz_model_file");
}

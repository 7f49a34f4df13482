// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace panna_plus_lammps {
namespace {

/// One keyword with a choice: its values, what each of them (by its position, or as it is written) sets, and the one
/// that a restart file keeps. A value may end in N, which stands for a number.
struct Keyword {
  std::string name;
  std::vector<std::string> values;
  void (*set)(Options &options, std::size_t choice, const std::string &word);
  std::string (*word)(const Options &options);
};

std::string on_or_off(bool is_on)
{
  return is_on ? "on" : "off";
}

const std::vector<Keyword> &keywords()
{
  static const std::vector<Keyword> table = {
      {"precision", {"mixed", "double"},
       [](Options &options, std::size_t choice, const std::string &) {
         options.precision = choice == 0 ? PANNA_PLUS_MIXED : PANNA_PLUS_DOUBLE;
       },
       [](const Options &options) { return options.precision_name(); }},
      {"guard", {"on", "off"},
       [](Options &options, std::size_t choice, const std::string &) { options.guard = choice == 0; },
       [](const Options &options) { return on_or_off(options.guard); }},
      {"backend", {"auto", "native", "torch"},
       [](Options &options, std::size_t choice, const std::string &) {
         // The only code of a file that is ever executed is that of a user who asked for it by name.
         options.backend = choice == 2 ? Backend::torch : Backend::native;
       },
       [](const Options &options) { return options.backend_name(); }},
      {"device", {"auto", "cpu", "cuda", "cuda:N"},
       [](Options &options, std::size_t, const std::string &word) { options.device = word; },
       // Who reads a restart file may have other devices.
       [](const Options &options) { return std::string(options.device == "cpu" ? "cpu" : "auto"); }},
      {"halo", {"auto", "layer", "deep"},
       [](Options &options, std::size_t choice, const std::string &) { options.halo = static_cast<Halo>(choice); },
       [](const Options &options) { return halo_name(options.halo); }},
      {"charges", {"on", "off"},
       [](Options &options, std::size_t choice, const std::string &) { options.charges = choice == 0; },
       [](const Options &options) { return on_or_off(options.charges); }},
  };
  return table;
}

bool is_whole(double value)
{
  return value == std::round(value);
}

/// One keyword with a number, 0 where it is not given.
struct Number {
  std::string name, symbol;
  double Options::*value;
  std::string expected;
  bool (*is_legal)(double value);
};

const std::vector<Number> &numbers()
{
  static const std::vector<Number> table = {
      {"charge", "Q", &Options::charge, "a whole number, the total charge in e", is_whole},
      {"spin", "S", &Options::spin, "a whole number, how many electrons are unpaired (0 for a singlet)",
       [](double value) { return is_whole(value) && value >= 0.0; }},
      {"lr_cutoff", "R", &Options::long_range_cutoff, "a positive length", [](double value) { return value > 0.0; }},
      {"damping", "D", &Options::damping, "a positive length", [](double value) { return value > 0.0; }},
  };
  return table;
}

std::string joined(const std::vector<std::string> &words, const char *between, const char *last)
{
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i)
    text += (i == 0 ? "" : i + 1 == words.size() ? last : between) + words[i];
  return text;
}

/// precision mixed|double, guard on|off, ...
std::string valid_options()
{
  std::vector<std::string> texts;
  for (const Keyword &keyword : keywords()) texts.push_back(keyword.name + " " + joined(keyword.values, "|", "|"));
  for (const Number &number : numbers()) texts.push_back(number.name + " " + number.symbol);
  return "the options are: " + joined(texts, ", ", ", ");
}

template <class Entry> const Entry *named(const std::vector<Entry> &table, const std::string &name)
{
  for (const Entry &entry : table)
    if (entry.name == name) return &entry;
  return nullptr;
}

/// Whether a word of the script is what a keyword has as `value`.
bool is_one(const std::string &word, const std::string &value)
{
  if (value.back() != 'N') return word == value;
  const std::size_t n = value.size() - 1;
  return word.size() > n && word.size() <= n + 4 && word.compare(0, n, value, 0, n) == 0 &&
      word.find_first_not_of("0123456789", n) == std::string::npos;
}

/// Position of `value` among the values of a keyword.
std::size_t choice(const Keyword &keyword, const std::string &value)
{
  const auto found = std::find_if(keyword.values.begin(), keyword.values.end(),
                                  [&](const std::string &known) { return is_one(value, known); });
  if (found == keyword.values.end())
    throw std::invalid_argument("pair_style panna_plus: option " + keyword.name + " is " +
                                joined(keyword.values, ", ", " or ") + ", found '" + value + "'");
  return static_cast<std::size_t>(found - keyword.values.begin());
}

double number_in(const Number &number, const std::string &text)
{
  char *end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !std::isfinite(value) || !number.is_legal(value))
    throw std::invalid_argument("pair_style panna_plus: option " + number.name + " is " + number.expected +
                                ", found '" + text + "'");
  return value;
}

std::string all_digits(double value)
{
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

}    // namespace

std::string halo_name(Halo halo)
{
  return halo == Halo::automatic ? "auto" : halo == Halo::layer ? "layer" : "deep";
}

Halo Options::halo_in_use() const
{
  if (halo != Halo::automatic) return halo;
  return backend == Backend::torch ? Halo::deep : Halo::layer;
}

std::vector<std::string> Options::words() const
{
  std::vector<std::string> words;
  for (const Keyword &keyword : keywords())
    words.insert(words.end(), {keyword.name, keyword.word(*this)});
  for (const Number &number : numbers())
    if (this->*number.value != 0.0) words.insert(words.end(), {number.name, all_digits(this->*number.value)});
  return words;
}

Options parse_options(const std::vector<std::string> &words)
{
  Options options;
  for (std::size_t at = 0; at < words.size(); at += 2) {
    const Keyword *keyword = named(keywords(), words[at]);
    const Number *number = named(numbers(), words[at]);
    if (!keyword && !number)
      throw std::invalid_argument("pair_style panna_plus: unknown option '" + words[at] + "'; " + valid_options());
    if (at + 1 == words.size())
      throw std::invalid_argument("pair_style panna_plus: option " + words[at] + " needs a value; " + valid_options());
    if (keyword)
      keyword->set(options, choice(*keyword, words[at + 1]), words[at + 1]);
    else
      options.*number->value = number_in(*number, words[at + 1]);
  }
  if (options.backend == Backend::torch && options.asks_for_cuda())
    throw std::invalid_argument("pair_style panna_plus: backend torch computes on the CPU, found device " +
                                options.device + ": leave out one of them");
  if (options.backend == Backend::torch && options.halo == Halo::layer)
    throw std::invalid_argument("pair_style panna_plus: backend torch runs all layers in one go and cannot exchange "
                                "between them: write 'halo deep', or backend native");
  return options;
}

}    // namespace panna_plus_lammps

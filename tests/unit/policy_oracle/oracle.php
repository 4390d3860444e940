<?php
// What PrestaShop would do with a request, computed by PHP itself.
//
// php oracle.php            JSON lines in: {"method": "GET", "query": base64}; JSON lines out: the meaning.
// php -S host:port oracle.php   the meaning of each HTTP request, forms and cookies included.
//
// Names follow webservice/dispatcher.php (method, url), WebserviceRequest (shop, group) and Shop::initialize,
// which asks Tools::getValue('id_shop'): the form first, then the query.

function text($value): ?string
{
    return $value === null ? null : base64_encode(is_array($value) ? 'array' : (string) $value);
}

function meaning(string $verb, array $get, array $post, array $request): array
{
    $url = $get['url'] ?? '';
    return [
        'method' => text($request['ps_method'] ?? $verb),
        'resource' => text(is_array($url) ? 'array' : explode('/', $url)[0]),
        'group' => text($get['id_shop_group'] ?? $get['id_group_shop'] ?? null),
        'shop' => text($get['id_shop'] ?? $post['id_shop'] ?? null),
        'form' => count($post),
    ];
}

if (PHP_SAPI === 'cli-server') {
    header('Content-Type: application/json');
    echo json_encode(meaning($_SERVER['REQUEST_METHOD'], $_GET, $_POST, $_REQUEST));
    return true;
}

while (($line = fgets(STDIN)) !== false) {
    $case = json_decode($line, true);
    $get = [];
    parse_str(base64_decode($case['query']), $get);
    echo json_encode(meaning($case['method'], $get, [], $get)), "\n";
}
